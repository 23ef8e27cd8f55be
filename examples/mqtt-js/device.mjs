// A connection of MQTT.js that shows a token, answers the broker's challenge, and stays when the token ends, because a fresh
// one has come before: what sensor.mjs and dashboard.mjs have in common.

import { setTimeout as pause } from 'node:timers/promises';

import mqtt from 'mqtt';
import mqttPacket from 'mqtt-packet';

import { broker, credentialsOf } from './settings.mjs';

const METHOD = 'ace';
const SUCCESS = 0x00;
const CONTINUE_AUTHENTICATION = 0x18;
const RE_AUTHENTICATE = 0x19;

/**
 * Connects as this client. When the connection breaks, MQTT.js comes back by itself, with the token that is in the options then.
 * Wait for the client's `settled` before you publish: it is pending while a fresh token is on its way.
 */
export async function open(clientId) {
  const credentials = credentialsOf(clientId);
  const life = await credentials.refresh();
  const client = mqtt.connect({
    ...broker,
    protocol: 'mqtts',
    protocolVersion: 5,
    clientId,
    clean: false,
    reconnectOnConnackError: true,
    properties: {
      authenticationMethod: METHOD,
      authenticationData: credentials.tokenAlone(),
      sessionExpiryInterval: 300, // keeps subscriptions and messages while we are away, in seconds
    },
  });
  client.handleAuth = (packet, done) => {
    if (packet.reasonCode === SUCCESS) client.emit('reauthenticated');
    if (packet.reasonCode !== CONTINUE_AUTHENTICATION) return done();
    done(null, auth(CONTINUE_AUTHENTICATION, credentials.answerTo(packet.properties.authenticationData)));
  };
  client.on('connect', () => console.log('connected'));
  client.on('reauthenticated', () => console.log('stayed, with a fresh token'));
  client.on('error', (error) => console.log(`refused: ${error.message}`));
  renew(client, credentials, life);
  return client;
}

/** Brings fresh tokens, for ever, each before the one before it ends. */
async function renew(client, credentials, life) {
  for (;;) {
    await pause(life);
    try {
      life = await credentials.refresh();
    } catch (error) {
      console.log(error.message);
      life = 5_000;
      continue;
    }
    client.options.properties.authenticationData = credentials.tokenAlone();
    if (client.connected) client.settled = reauthenticate(client, credentials);
  }
}

/**
 * MQTT.js has no call for it, but lets us write to its stream. Mosquitto takes nothing but AUTH until it is done, some milliseconds
 * later: should an acknowledgement or a ping come in between, it ends the connection, and MQTT.js comes back with the fresh token.
 */
function reauthenticate(client, credentials) {
  const settled = new Promise((resolve) => client.once('reauthenticated', resolve).once('close', resolve));
  client.stream.write(mqttPacket.generate(auth(RE_AUTHENTICATE, credentials.tokenAlone()), { protocolVersion: 5 }));
  return settled;
}

function auth(reasonCode, authenticationData) {
  return { cmd: 'auth', reasonCode, properties: { authenticationMethod: METHOD, authenticationData } };
}
