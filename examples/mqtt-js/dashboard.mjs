// A dashboard: prints what the sensors publish. Run it in the folder trial: node dashboard.mjs [FILTER]

import { open } from './device.mjs';

const filter = process.argv[2] ?? 'sensors/#';

const client = await open('dashboard');
client.on('message', (topic, payload) => console.log(topic, payload.toString()));
client.subscribe(filter, { qos: 1 }, (error) => {
  console.log(error ? `refused: ${filter}: ${error.message}` : `subscribed to ${filter}`);
});
