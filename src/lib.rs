//! OAuth 2.0 / ACE access control for a stock Mosquitto broker.
