// Where things are: as `ace-as init trial` has made them, seen from the folder trial.

import { readFileSync } from 'node:fs';

import { Credentials } from './ace.mjs';

const tokenEndpoint = process.env.TOKEN_ENDPOINT ?? 'https://localhost:8443/token';
const ca = readFileSync('ca-cert.pem');

export const broker = { host: process.env.BROKER ?? 'localhost', port: Number(process.env.PORT ?? 8883), ca };

/** The credentials of this client of the authorization server. */
export function credentialsOf(clientId) {
  const clientSecret = readFileSync(`${clientId}.secret`, 'utf8').trim();
  return new Credentials({ url: tokenEndpoint, ca, clientId, clientSecret, audience: 'broker.example' });
}
