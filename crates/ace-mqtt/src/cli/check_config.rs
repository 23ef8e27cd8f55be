//! `ace-mqtt check-config`: whether a configuration is valid, what it means, and whether its servers answer.

use std::{fmt::Write as _, path::PathBuf};

use ace_profile::{
    jose::Jwk,
    scope::{Permission, ScopeFormat},
    token::AuthorizationServer,
};
use ace_resource_server::{
    check::{Resource, reach, warnings},
    config::{Configuration, OnDenied, OtherClients, WhenUnknown, named_files},
};
use clap::Args;

use super::{Exit, Failure, explain::length, output};

const AFTER_HELP: &str = "\
Examples:
  # before the broker is reloaded
  ace-mqtt check-config /etc/mosquitto/ace.toml && systemctl reload mosquitto

  # without asking any server
  ace-mqtt check-config ace.toml --offline

Run it as the broker's user, to see whether that can read the files: runuser -u mosquitto -- ace-mqtt check-config ...

Exit codes:
  0  the plugin takes the configuration, and its servers answer
  1  it does not, or a server does not answer
  2  wrong usage";

/// Check the plugin's configuration, say what is in force, and ask its servers
///
/// Reads the file with the plugin's code, then asks each server once, as the broker would. Warnings are no errors.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CheckConfig {
    /// The plugin's configuration, as in plugin_opt_config_file
    config: PathBuf,

    /// Ask no server
    #[arg(long)]
    offline: bool,
}

impl CheckConfig {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let read = Configuration::load(&self.config).and_then(|it| Ok((it, named_files(&self.config)?)));
        let (configuration, files) = match read {
            Ok(read) => read,
            Err(error) => {
                output::note(&error.to_string());
                return Ok(Exit::NO);
            }
        };
        let mut text = format!("{}: the plugin takes it\n\n", self.config.display());
        // Writing to a string cannot fail.
        let _ = describe(&mut text, &configuration);
        for warning in warnings(&configuration, &files) {
            let _ = writeln!(text, "warning: {warning}");
        }
        let mut exit = Exit::YES;
        if self.offline {
            output::write(&[text.as_bytes()])?;
            return Ok(exit);
        }
        for reached in reach(&configuration) {
            let what = match reached.resource {
                Resource::Keys => "keys",
                Resource::Introspection => "introspection",
                Resource::RevocationList => "revocation list",
            };
            let took = length(reached.took);
            let _ = match &reached.outcome {
                Ok(there) => writeln!(text, "ok: {what} at {}: {there} ({took})", reached.url),
                Err(error) => {
                    exit = Exit::NO;
                    writeln!(text, "FAILED: {what} at {} {error} ({took})", reached.url)
                }
            };
        }
        output::write(&[text.as_bytes()])?;
        Ok(exit)
    }
}

fn describe(text: &mut String, configuration: &Configuration) -> std::fmt::Result {
    let policy = configuration.validator.policy();
    let shown: Vec<String> = policy.audience.iter().map(|name| format!("{name:?}")).collect();
    writeln!(text, "This broker answers to {} (aud).", shown.join(", "))?;
    for server in configuration.validator.servers() {
        writeln!(text, "\nTokens of {:?} (iss) are taken:", server.issuer)?;
        of_server(text, configuration, server)?;
    }
    writeln!(text, "\nClients:")?;
    let yes = |is_so: bool, yes: &'static str, no: &'static str| if is_so { yes } else { no };
    writeln!(
        text,
        "  - {}",
        yes(policy.allow_bearer, "tokens without a key (cnf) are taken", "each token must be bound to a key (cnf)")
    )?;
    writeln!(text, "  - {}", yes(policy.allow_no_expiry, "tokens need no exp", "each token must end (exp)"))?;
    let relative = "tokens with exi alone are taken, counted from first sight (state_dir)";
    writeln!(
        text,
        "  - {}",
        yes(policy.allow_relative_expiry, relative, "tokens with exi alone are not taken (no state_dir)")
    )?;
    writeln!(text, "  - clocks may differ by {}", length(policy.leeway))?;
    let anonymous = match (configuration.allow_anonymous, &configuration.authz_info) {
        (true, _) => "clients that show nothing are let in, to the public topics".to_owned(),
        (false, Some(topic)) => format!(
            "clients that show nothing are let in to publish a token to {:?}, and for nothing else",
            topic.topic
        ),
        (false, None) => "clients that show nothing are not let in".to_owned(),
    };
    writeln!(text, "  - {anonymous}")?;
    writeln!(
        text,
        "  - {}",
        match configuration.other_clients {
            OtherClients::Refuse => "clients with passwords of another kind are not let in",
            OtherClients::Defer =>
                "clients with passwords of another kind are left to the broker's other plugins and files",
        }
    )?;
    let draft00 = match (configuration.draft00.enabled, configuration.draft00.window) {
        (false, _) => "user name \"ace\" with JSON (draft -00) is not taken".to_owned(),
        (true, None) => "user name \"ace\" with JSON (draft -00) is taken, with an exporter proof".to_owned(),
        (true, Some(window)) => {
            format!("user name \"ace\" with JSON (draft -00) is taken, with a time within {} as well", length(window))
        }
    };
    writeln!(text, "  - {draft00}")?;
    writeln!(text, "  - {} client keys are known by kid", configuration.validator.client_keys().keys().len())?;
    if !configuration.introspection.is_empty() {
        writeln!(
            text,
            "  - {}",
            match configuration.when_unknown {
                WhenUnknown::Wait { longest } => format!(
                    "where nothing else can wait for a server, the broker does, for {} at most",
                    length(longest)
                ),
                WhenUnknown::Refuse => "clients that cannot wait for a server are told to come again".to_owned(),
            }
        )?;
    }
    let denied = |on: OnDenied| match on {
        OnDenied::Disconnect => "the client is disconnected",
        OnDenied::Drop => "the message is dropped",
    };
    writeln!(
        text,
        "  - on a denied message where MQTT cannot tell: {}; on a denied delivery: {}",
        denied(configuration.on_denied_publish),
        denied(configuration.on_denied_delivery)
    )?;
    writeln!(text, "\nOpen to all:")?;
    for entry in configuration.public_scope.entries() {
        let may: Vec<&str> = entry
            .permissions
            .iter()
            .map(|permission| match permission {
                Permission::Publish => "publish",
                Permission::Subscribe => "subscribe",
            })
            .collect();
        writeln!(text, "  - {:?}: {}", entry.filter.as_str(), may.join(" and "))?;
    }
    if configuration.public_scope.is_empty() {
        writeln!(text, "  - nothing")?;
    }
    writeln!(text)
}

fn of_server(text: &mut String, configuration: &Configuration, server: &AuthorizationServer) -> std::fmt::Result {
    for key in server.keys.keys() {
        writeln!(text, "  - key {}", described(key))?;
    }
    let only_decrypt = server
        .decryption_keys
        .keys()
        .iter()
        .filter(|key| !server.keys.keys().iter().any(|known| known.thumbprint() == key.thumbprint()));
    for key in only_decrypt {
        writeln!(text, "  - decrypts with {}", described(key))?;
    }
    if let Some(source) = configuration.key_sources.iter().find(|source| source.issuer() == server.issuer) {
        writeln!(text, "  - keys are fetched from {}", source.url())?;
    }
    if server.algorithms.is_none() {
        writeln!(text, "  - with every algorithm that its keys allow (no algorithms)")?;
    }
    writeln!(
        text,
        "  - scopes are {}{}",
        match &server.scope_format {
            ScopeFormat::Aif => "AIF-MQTT in \"scope\"".to_owned(),
            ScopeFormat::Words { .. } => format!("words in {:?}", server.scope_format.claims()),
            ScopeFormat::Claim(name) => format!("AIF-MQTT in {name:?}"),
        },
        if server.scope_placeholders { ", with placeholders" } else { "" }
    )?;
    if let Some(asked) = configuration.introspection.iter().find(|asked| asked.issuer == server.issuer) {
        let which = if asked.has_no_keys || asked.introspect_jwt { "all of its tokens" } else { "opaque tokens" };
        writeln!(
            text,
            "  - it is asked about {which} at {}; answers count for {}",
            asked.endpoint.url(),
            length(asked.cache)
        )?;
    }
    if let Some(list) = configuration.revocation_lists.iter().find(|list| list.issuer == server.issuer) {
        writeln!(text, "  - revoked tokens are looked for every {} at {}", length(list.interval), list.endpoint.url())?;
    } else {
        writeln!(text, "  - no list of revoked tokens: they count until they end")?;
    }
    Ok(())
}

fn described(key: &Jwk) -> String {
    let kid = key.kid().map_or_else(|| "without kid".to_owned(), |kid| format!("{kid:?}"));
    let usage = match (key.signature_algorithm(), key.can_decrypt()) {
        (Some(algorithm), false) => format!("verifies {algorithm}"),
        (Some(algorithm), true) => format!("verifies {algorithm}, and decrypts"),
        (None, true) => "decrypts".to_owned(),
        (None, false) => "verifies nothing".to_owned(),
    };
    format!("{kid}: {:?}, {usage}", key.key_type())
}
