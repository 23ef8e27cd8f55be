#!/bin/sh
# One message of a client that proves its key in the TLS handshake, by a certificate: it shows its token before, at the topic authz-info,
# and needs no password then. Run it in the folder trial: sh certificate.sh [TOPIC]
set -eu
. "$(dirname "$0")/settings.sh"
topic=${1:-sensors/1}
certificate_port=${CERTIFICATE_PORT:-8884}

# A key, and a certificate for it from the trial's authority.
if ! [ -s sensor-cert.pem ]; then
    (umask 077 && openssl genpkey -algorithm ed25519 -out sensor-key.pem)
    openssl req -new -key sensor-key.pem -subj /CN=sensor |
        openssl x509 -req -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 30 -out sensor-cert.pem
fi

# The same key as a JWK. The last 32 bytes of an Ed25519 key in DER are the key itself.
last_32_bytes() {
    tail -c 32 | base64 -w 0 | tr '+/' '-_' | tr -d =
}
x=$(openssl pkey -in sensor-key.pem -pubout -outform DER | last_32_bytes)
d=$(openssl pkey -in sensor-key.pem -outform DER | last_32_bytes)
(umask 077 && printf '{"kty":"OKP","crv":"Ed25519","x":"%s","d":"%s"}\n' "$x" "$d" > sensor-key.jwk)

# A token that is bound to it, shown to the broker. It is worth nothing to anybody else.
token=$(ace-mqtt token --as "$token_endpoint" --as-ca ca-cert.pem --client-id sensor --client-secret-file sensor.secret \
    --audience "$audience" --key sensor-key.jwk)
printf '%s' "$token" | mosquitto_pub -V 5 -h "$broker" -p "$port" --cafile ca-cert.pem -i uploader -q 1 -t authz-info -s

said=$(mosquitto_pub -V 5 -h "$broker" -p "$certificate_port" --cafile ca-cert.pem --cert sensor-cert.pem --key sensor-key.pem \
    -i sensor -t "$topic" -m 21.5 -q 1 2>&1) || true
if [ -n "$said" ]; then
    echo "refused: $topic: $said"
    exit 1
fi
echo "published to $topic"
