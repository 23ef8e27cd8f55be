#!/bin/sh
# Whether the broker answers: an MQTT client that brings no token gets an answer, over TLS with a verified certificate.
# Where the plugin lets nobody in without a token the answer is a refusal, which counts as health: ace-mqtt ends with 5.
# HEALTH_HOST, HEALTH_PORT and HEALTH_CA say where, under which name, and whom to trust.
ace-mqtt sub --host "${HEALTH_HOST:-localhost}" --port "${HEALTH_PORT:-8883}" --cafile "${HEALTH_CA:-/etc/mosquitto/ca-cert.pem}" \
    --id health-check --auth none --topic health -W 1 2>&1
case $? in
0 | 5 | 12 | 27) exit 0 ;;
*) exit 1 ;;
esac
