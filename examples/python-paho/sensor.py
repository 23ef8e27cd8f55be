"""A sensor: publishes a temperature once a second. Run it in the folder trial: python3 sensor.py [TOPIC]"""

import random
import sys

from device import Device

TOPIC = sys.argv[1] if len(sys.argv) > 1 else "sensors/1"


def acknowledged(_sensor, _data, _message, reason, _properties):
    # With QoS 1 the broker says whether the token allows the topic.
    print(f"refused: {TOPIC}: {reason}" if reason.is_failure else f"published to {TOPIC}", flush=True)


sensor = Device("sensor")
sensor.on_publish = acknowledged
sensor.run(lambda: sensor.publish(TOPIC, f"{random.gauss(21, 0.5):.1f}", qos=1))
