// One message, with the proof in CONNECT: the broker need not ask, and the proof is worth nothing on any other connection.
// For that the TLS handshake must be over before MQTT begins, so the program opens the socket and hands it to MQTT.js.
// Run it in the folder trial: node exporter.mjs [TOPIC]

import { once } from 'node:events';
import tls from 'node:tls';

import { MqttClient } from 'mqtt';

import { broker, credentialsOf } from './settings.mjs';

const topic = process.argv[2] ?? 'sensors/1';

const credentials = credentialsOf('sensor');
await credentials.refresh();

const socket = tls.connect({ ...broker, servername: broker.host });
await once(socket, 'secureConnect');

const client = new MqttClient(() => socket, {
  protocolVersion: 5,
  clientId: 'sensor',
  reconnectPeriod: 0, // the next connection takes another socket and another proof
  properties: { authenticationMethod: 'ace', authenticationData: credentials.provedOn(socket) },
});

try {
  await once(client, 'connect');
  await client.publishAsync(topic, '21.5', { qos: 1 });
  console.log(`published to ${topic}`);
} catch (error) {
  console.log(`refused: ${error.message}`);
  process.exitCode = 1;
}
client.end();
