// A sensor on an ESP32: publishes a temperature every ten seconds.
//
// NOT RUN: there is no microcontroller among the machines that this project is tested on, and this sketch has been compiled by nobody
// yet. What is tested is ace_password.h, which makes the password: it is compiled and run on a PC, and real brokers take what it makes.
//
// Libraries: PubSubClient (2.8 or newer) and ArduinoJson (7); WiFi, HTTPClient, WiFiClientSecure and mbedTLS come with the ESP32's core.

#include <ArduinoJson.h>
#include <HTTPClient.h>
#include <PubSubClient.h>
#include <WiFi.h>
#include <WiFiClientSecure.h>
#include <mbedtls/md.h>
#include <time.h>

#include "ace_password.h"
#include "secrets.h"  // WIFI_NAME, WIFI_PASSWORD, CLIENT_SECRET, CA_CERTIFICATE: see secrets.example.h

const char *TOKEN_ENDPOINT = "https://as.example:8443/token";
const char *BROKER = "broker.example";
const uint16_t PORT = 8883;
const char *AUDIENCE = "broker.example";
const char *CLIENT_ID = "sensor";
const char *TOPIC = "sensors/1";

// Longer than CONNECT with token, proof and all: what PubSubClient has by default is too short.
const uint16_t PACKET_BYTES = 2048;
const uint32_t PERIOD = 10000;

WiFiClientSecure tls;
PubSubClient mqtt(tls);
ace::Credentials credentials;
uint32_t stale_at = 0;  // in milliseconds since the start

bool hmac_sha256(const uint8_t *key, size_t key_length, const uint8_t *message, size_t length, uint8_t mac[ace::MAC_BYTES]) {
  return mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key, key_length, message, length, mac) == 0;
}

bool is_stale() {
  return credentials.token.empty() || static_cast<int32_t>(millis() - stale_at) > 0;
}

// A token and a key that the server makes, with all that this client may do (OAuth's client credentials grant).
bool get_token() {
  WiFiClientSecure connection;
  connection.setCACert(CA_CERTIFICATE);
  HTTPClient http;
  http.begin(connection, TOKEN_ENDPOINT);
  http.setAuthorization(CLIENT_ID, CLIENT_SECRET);
  http.addHeader("Content-Type", "application/x-www-form-urlencoded");
  int status = http.POST(String("grant_type=client_credentials&audience=") + AUDIENCE);
  JsonDocument answer;
  bool is_good = status == 200 && !deserializeJson(answer, http.getString());
  http.end();
  if (!is_good) {
    Serial.printf("no token: HTTP %d\n", status);
    return false;
  }
  credentials.token = answer["access_token"] | "";
  credentials.key = ace::from_base64url(answer["cnf"]["jwk"]["k"] | "");
  // Four fifths of its life, so that it never ends first.
  stale_at = millis() + answer["expires_in"].as<uint32_t>() * 800;
  return true;
}

void connect() {
  if (is_stale() && !get_token()) return;
  uint8_t random[ace::NONCE_BYTES];
  esp_fill_random(random, sizeof random);
  std::string password = ace::password(credentials, CLIENT_ID, AUDIENCE, time(nullptr), random, hmac_sha256);
  if (mqtt.connect(CLIENT_ID, ace::USER_NAME, password.c_str())) {
    Serial.println("connected");
  } else {
    Serial.printf("refused: %d\n", mqtt.state());
    credentials = ace::Credentials();  // a token that the broker has refused is not to be shown again
  }
}

void setup() {
  Serial.begin(115200);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  while (WiFi.status() != WL_CONNECTED) delay(100);
  // The proof is over the time: wait for a clock that is right.
  configTime(0, 0, "pool.ntp.org");
  while (time(nullptr) < 1700000000) delay(100);
  tls.setCACert(CA_CERTIFICATE);
  mqtt.setServer(BROKER, PORT);
  mqtt.setBufferSize(PACKET_BYTES);
}

void loop() {
  static uint32_t last = 0;
  // Leaves before the token ends, and comes back with a fresh one.
  if (mqtt.connected() && is_stale()) mqtt.disconnect();
  if (!mqtt.connected()) {
    connect();
    delay(1000);
  }
  mqtt.loop();
  if (mqtt.connected() && millis() - last >= PERIOD) {
    last = millis();
    mqtt.publish(TOPIC, String(temperatureRead(), 1).c_str());
  }
}
