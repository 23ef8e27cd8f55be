"""TLS connections that tell the TLS exporter's value, for paho: by pyOpenSSL, since Python's ssl does not.

Python's ssl has contexts that make sockets; these two look like them, as far as paho looks.
"""

import select
import ssl
import time

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname

LABEL, LENGTH = b"EXPORTER-ACE-MQTT-Sign-Challenge", 32


class ExporterContext:
    """To be given to paho's tls_set_context. Trusts what is in the file, and checks the broker's name."""

    check_hostname = True  # for paho: it need not check the name again

    def __init__(self, ca_file):
        self._context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._context.load_verify_locations(ca_file)
        self._context.set_verify(SSL.VERIFY_PEER)

    def wrap_socket(self, tcp_socket, server_hostname, do_handshake_on_connect):
        assert not do_handshake_on_connect
        return ExporterSocket(self._context, tcp_socket, server_hostname)


class ExporterSocket:
    """A TLS connection over this socket, not yet begun."""

    def __init__(self, context, tcp_socket, hostname):
        self._socket, self._hostname = tcp_socket, hostname
        self._tls = SSL.Connection(context, tcp_socket)
        self._tls.set_tlsext_host_name(hostname.encode())
        self._tls.set_connect_state()
        self.settimeout, self.setblocking = tcp_socket.settimeout, tcp_socket.setblocking
        self.fileno, self.pending = tcp_socket.fileno, self._tls.pending

    def exported(self):
        """What both ends of this connection know, and nobody else."""
        return self._tls.export_keying_material(LABEL, LENGTH, b"")

    def do_handshake(self):
        timeout = self._socket.gettimeout()
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._call(self._tls.do_handshake)
                break
            except ssl.SSLWantReadError:
                if not select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise TimeoutError("the TLS handshake takes too long") from None
        try:
            verify_hostname(self._tls, self._hostname)
        except (VerificationError, CertificateError, ValueError) as error:
            raise ssl.SSLCertVerificationError(f"the certificate is not that of {self._hostname}") from error

    def recv(self, size):
        return self._call(self._tls.recv, size)

    def send(self, data):
        return self._call(self._tls.send, data)

    def close(self):
        self._socket.close()

    @staticmethod
    def _call(function, *arguments):
        """Has pyOpenSSL's exceptions be those of ssl."""
        try:
            return function(*arguments)
        except SSL.WantReadError as error:
            raise ssl.SSLWantReadError from error
        except SSL.WantWriteError as error:
            raise ssl.SSLWantWriteError from error
        except SSL.ZeroReturnError:
            return b""
        except SSL.Error as error:
            raise ssl.SSLError(str(error)) from error
