#!/bin/sh
# A sensor: publishes a temperature once a second with mosquitto_pub. Run it in the folder trial: sh sensor.sh [TOPIC]
set -eu
. "$(dirname "$0")/settings.sh"
topic=${1:-sensors/1}

while :; do
    get_token sensor
    write_options sensor mosquitto_pub
    # With QoS 1 the broker says whether the token allows the topic, and mosquitto_pub warns if it does not.
    if said=$(mosquitto_pub -t "$topic" -m "21.$(date +%S)" -q 1 2>&1) && [ -z "$said" ]; then
        echo "published to $topic"
    else
        echo "refused: $topic: $said"
    fi
    sleep 1
done
