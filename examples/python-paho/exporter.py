"""A sensor whose proof is bound to its TLS connection. Run it in the folder trial: python3 exporter.py [TOPIC]"""

import sys

from device import CA_FILE, Device
from tls_exporter import ExporterContext

TOPIC = sys.argv[1] if len(sys.argv) > 1 else "sensors/1"


class ExporterDevice(Device):
    def __init__(self, name):
        super().__init__(name, tls=ExporterContext(CA_FILE))
        self.on_pre_connect = lambda *_: self.credentials.refresh()
        # paho calls this between the TLS handshake and CONNECT.
        self.on_socket_open = lambda _client, _data, tls: self.username_pw_set(
            "ace", self.credentials.password_on(tls.exported())
        )


sensor = ExporterDevice("sensor")
sensor.on_publish = lambda _sensor, _data, _message, reason, _properties: print(
    f"refused: {TOPIC}: {reason}" if reason.is_failure else f"published to {TOPIC}", flush=True
)
sensor.run(lambda: sensor.publish(TOPIC, "21.5", qos=1))
