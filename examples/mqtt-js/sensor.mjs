// A sensor: publishes a temperature once a second. Run it in the folder trial: node sensor.mjs [TOPIC]

import { setTimeout as pause } from 'node:timers/promises';

import { open } from './device.mjs';

const topic = process.argv[2] ?? 'sensors/1';

const client = await open('sensor');
for (;;) {
  await client.settled;
  const temperature = (20.5 + Math.random()).toFixed(1);
  // With QoS 1 the broker says whether the token allows the topic.
  client.publish(topic, temperature, { qos: 1 }, (error) => {
    console.log(error ? `refused: ${topic}: ${error.message}` : `published to ${topic}`);
  });
  await pause(1_000);
}
