//! The authorization server over real HTTPS, its certificate checked against the CA that `ace-as init` makes.

mod command;
mod configuration;
mod errors;
mod hostile;
mod introspection;
mod token;
mod trial;
mod verify;
