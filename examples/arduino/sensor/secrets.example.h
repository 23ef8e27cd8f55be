// Copy this to secrets.h and fill it in; do not commit that.
#pragma once

#define WIFI_NAME "…"
#define WIFI_PASSWORD "…"
#define CLIENT_SECRET "…"  // what stands in trial/sensor.secret
// What stands in trial/ca-cert.pem.
#define CA_CERTIFICATE R"(-----BEGIN CERTIFICATE-----
…
-----END CERTIFICATE-----
)"
