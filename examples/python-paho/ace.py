"""Tokens and passwords for an MQTT broker that asks for ACE access tokens, with nothing but Python's standard library.

This is the file to copy. It gets a token from an authorization server (OAuth's client credentials grant), and makes the
password that shows the token to the broker and proves that the client holds the token's key.
"""

import base64
import hashlib
import hmac
import json
import os
import ssl
import time
import urllib.parse
import urllib.request


class Credentials:
    """A token and the key that it is bound to, which the authorization server makes. Fetched anew before they end."""

    def __init__(self, server, ca_file, client_id, client_secret, audience):
        self.audience = audience  # the broker's name, as it stands in the token
        self._server, self._client_id, self._client_secret = server, client_id, client_secret
        self._tls = ssl.create_default_context(cafile=ca_file)
        self.forget()

    def password(self, mqtt_client_id):
        """The password that goes with the user name "ace". It is good for one connection, and for a minute."""
        self.refresh()
        moment, nonce = int(time.time()), _base64url(os.urandom(16))
        text = "\n".join(["ace-mqtt-v0", mqtt_client_id, self.audience, str(moment), nonce])
        return json.dumps({"access_token": self.token, "mac": self.proof(text.encode()), "ts": moment, "nonce": nonce})

    def password_on(self, exported):
        """The same for one TLS connection, by what its exporter gives. It needs no clock. Call `refresh` before."""
        return json.dumps({"access_token": self.token, "mac": self.proof(exported)})

    def proof(self, message):
        """What nobody can make who does not hold the key, in base64url."""
        return _base64url(hmac.digest(self._key, message, hashlib.sha256))

    def is_stale(self):
        """Whether the token should be used no more. It is after four fifths of its life, so that it never ends first."""
        return time.monotonic() > self._stale_at

    def forget(self):
        """A token that the broker has refused is not to be shown again."""
        self.token, self._key, self._stale_at = None, None, float("-inf")

    def refresh(self):
        """Fetches a fresh token if this one is stale."""
        if self.is_stale():
            asked = time.monotonic()
            answer = self._ask()
            self.token = answer["access_token"]
            self._key = _from_base64url(answer["cnf"]["jwk"]["k"])
            self._stale_at = asked + 0.8 * answer["expires_in"]

    def _ask(self):
        # Without "scope" the token opens all that this client may do; without "req_cnf" the server makes the key.
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "audience": self.audience})
        who = f"{urllib.parse.quote_plus(self._client_id)}:{urllib.parse.quote_plus(self._client_secret)}"
        headers = {"Authorization": "Basic " + base64.b64encode(who.encode()).decode()}
        request = urllib.request.Request(self._server, form.encode(), headers)
        with urllib.request.urlopen(request, context=self._tls, timeout=10) as response:
            return json.load(response)


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
