//! The MQTT-TLS profile of ACE.
#![forbid(unsafe_code)]
