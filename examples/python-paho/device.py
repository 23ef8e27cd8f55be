"""A connection of paho's that shows a token: what sensor.py and dashboard.py have in common."""

import os
import pathlib
import ssl
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ace import Credentials

# Where things are: as `ace-as init trial` has made them, seen from the folder trial.
TOKEN_ENDPOINT = os.environ.get("TOKEN_ENDPOINT", "https://localhost:8443/token")
BROKER = os.environ.get("BROKER", "localhost")
PORT = int(os.environ.get("PORT", "8883"))
AUDIENCE = "broker.example"
CA_FILE = "ca-cert.pem"


class Device(mqtt.Client):
    """Connects with a fresh password each time. When the connection breaks, paho comes back by itself."""

    def __init__(self, name, tls=None):
        super().__init__(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        secret = pathlib.Path(f"{name}.secret").read_text().strip()
        self.name, self.credentials = name, Credentials(TOKEN_ENDPOINT, CA_FILE, name, secret, AUDIENCE)
        self.tls_set_context(tls or ssl.create_default_context(cafile=CA_FILE))
        self.on_pre_connect = self._show_token
        self.on_connect = self._connected
        self.on_connect_fail = lambda *_: print("not connected; trying again", flush=True)

    def run(self, work=lambda: None):
        """Does the work once a second, for ever, and comes with a fresh token in time."""
        self._open()
        while True:
            work()
            time.sleep(1)
            if self.is_connected() and self.credentials.is_stale():
                self._renew()

    def when_connected(self):
        """What to do on each connection: for others to say."""

    def _open(self):
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 300  # keeps subscriptions and messages while we are away, in seconds
        self.connect_async(BROKER, PORT, properties=session)
        self.loop_start()

    def _renew(self):
        # paho has no re-authentication: leave, and come back to the same session with a fresh token.
        self.disconnect()
        self.loop_stop()
        self._open()

    def _show_token(self, *_):
        # paho calls this before each attempt to connect, and each proof is good for one.
        try:
            self.username_pw_set("ace", self.credentials.password(self.name))
        except OSError as error:
            print(f"no token: {error}", flush=True)
            raise

    def _connected(self, _client, _data, _flags, reason, _properties):
        if reason.is_failure:
            print(f"refused: {reason}", flush=True)
            self.credentials.forget()
        else:
            print("connected", flush=True)
            self.when_connected()
