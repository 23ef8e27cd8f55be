//! `BASIC_AUTH`: clients that come without Authentication Method: MQTT 3.1.1 (RFC 9431 §6), the draft's form, the anonymous,
//! and those that have nothing to do with ACE.

use std::borrow::Cow;

use ace_profile::Refusal;
use ace_profile::connect::{Credentials, Draft00, PasswordBytes};
use ace_profile::proof::{ConfirmationKey, Freshness, verify_draft00};
use ace_profile::token::{Confirmation, ValidatedToken};
use ace_resource_server::Reason;
use ace_resource_server::config::{Configuration, OtherClients};

use super::admission::{About, Entrance, Refused};
use super::delayed::Form;
use super::waiting::Judged;
use crate::broker::tls::{Connection, PeerCertificate};
use crate::broker::{BasicAuth, Client, Password, Verdict, clock};
use crate::metrics::WayIn;
use crate::plugin::Plugin;
use crate::report;
use crate::session::Rights;

impl Plugin {
    pub(crate) fn on_basic_auth(&self, event: &BasicAuth<'_>) -> Verdict {
        if let Some(verdict) = self.recheck(&event.client) {
            return verdict;
        }
        self.follow_remote_without_ticks();
        let (way, outcome) = self.judge_credentials(event);
        self.verdict_on_connect(&event.client, way, outcome)
    }

    /// When the broker has read its configuration again, it asks about each client that is connected, with the user name
    /// that we gave it. Those keep what they have: their rights end with their tokens.
    fn recheck(&self, client: &Client<'_>) -> Option<Verdict> {
        if !self.rechecking.get() {
            return None;
        }
        let configuration = self.configuration();
        let mut sessions = self.sessions.borrow_mut();
        let session = sessions.of_mut(client)?;
        // A client that connects just now, at the address of one that has gone, must not pass for it.
        let is_there =
            session.phase.get().is_connected() && session.connection.is_none_or(|connection| connection.is_alive());
        if !is_there {
            return None;
        }
        Some(match &session.rights {
            Rights::Token(_) => Verdict::Allow,
            Rights::Foreign if configuration.other_clients == OtherClients::Defer => Verdict::Defer,
            Rights::Foreign => Verdict::RefuseClient,
            // What the anonymous may now, as if this one had only just come.
            Rights::Public | Rights::AuthzInfo => match anonymous_rights(&configuration) {
                Some((rights, _)) => {
                    sessions.replace_rights(client.key(), rights);
                    Verdict::Allow
                }
                None => Verdict::RefuseClient,
            },
        })
    }

    /// How the client comes, and what becomes of it.
    fn judge_credentials(&self, event: &BasicAuth<'_>) -> (WayIn, Result<Verdict, Refused>) {
        let client = &event.client;
        let password = event.password.as_ref().map(bytes);
        let takes_opaque = self.remote.borrow().takes_opaque_tokens();
        let parse = if takes_opaque { Credentials::parse_with_opaque } else { Credentials::parse };
        match parse(event.user_name, password) {
            Err(refusal) => (WayIn::Unreadable, Err(Reason::from(refusal).into())),
            Ok(Credentials::None) => self.without_credentials(client),
            Ok(Credentials::Foreign) => (WayIn::Other, self.other_client(client, Reason::NoToken)),
            Ok(Credentials::TokenInUsername { token, password }) => {
                (WayIn::UserName, self.with_token(client, &token, &Form::UserName(password)))
            }
            Ok(Credentials::Draft00(draft00)) => {
                (Form::Draft00(&draft00).way().unwrap_or(WayIn::Unreadable), self.draft00(client, &draft00))
            }
        }
    }

    /// A token that the client has sent. Where it cannot be judged yet, the broker puts the authentication off, or waits.
    fn with_token(&self, client: &Client<'_>, token: &[u8], form: &Form<'_>) -> Result<Verdict, Refused> {
        let connection = self.connection_of(client);
        let judged = self.judge(token)?;
        self.prove_judged(client, judged, form, connection)
    }

    pub(super) fn prove_judged(
        &self,
        client: &Client<'_>,
        judged: Judged,
        form: &Form<'_>,
        connection: Option<Connection>,
    ) -> Result<Verdict, Refused> {
        let token = match judged {
            Judged::Good(token) => token,
            Judged::Later(pending) => match self.delay(client, connection, form, pending) {
                Ok(verdict) => return Ok(verdict),
                Err(pending) => self.wait_for(pending)?,
            },
        };
        self.prove(client, &token, form, connection)
    }

    /// Has the client prove that a good token is its own, and lets it in.
    pub(super) fn prove(
        &self,
        client: &Client<'_>,
        token: &ValidatedToken,
        form: &Form<'_>,
        connection: Option<Connection>,
    ) -> Result<Verdict, Refused> {
        match form {
            Form::UserName(password) => self.prove_by_password(client, token, password, connection),
            Form::Draft00(draft00) => self.prove_by_draft00(client, token, draft00, connection),
            Form::Tls => self.admit_by_tls(client, token),
        }
    }

    fn prove_by_password(
        &self,
        client: &Client<'_>,
        token: &ValidatedToken,
        password: &PasswordBytes<'_>,
        connection: Option<Connection>,
    ) -> Result<Verdict, Refused> {
        match &token.confirmation {
            Confirmation::Key(key) => {
                let proof = password.proof(key.proof_bytes()).map_err(Reason::from).about(token.fingerprint)?;
                self.prove_by_exporter(key, connection.as_ref(), &proof).about(token.fingerprint)?;
            }
            Confirmation::Certificate(_) | Confirmation::Thumbprint(_) if password.is_empty() => {
                self.prove_by_tls(client, token).about(token.fingerprint)?;
                return self.admit(client, token, Entrance::by_tls(token, connection));
            }
            Confirmation::Bearer if password.is_empty() => {}
            Confirmation::Thumbprint(_) => return Err(Refusal::ShownKeyMissing).about(token.fingerprint),
            Confirmation::Certificate(_) | Confirmation::Bearer => {
                return Err(Reason::ProofWithoutKey).about(token.fingerprint);
            }
        }
        self.admit(client, token, Entrance::new("user name", connection))
    }

    fn draft00(&self, client: &Client<'_>, brought: &Draft00) -> Result<Verdict, Refused> {
        let allowed = self.configuration().draft00;
        if !allowed.enabled {
            return Err(Reason::Draft00Off.into());
        }
        if brought.freshness.is_some() && allowed.window.is_none() {
            return Err(Reason::Draft00WindowOff.into());
        }
        self.with_token(client, &brought.token_bytes(), &Form::Draft00(brought))
    }

    fn prove_by_draft00(
        &self,
        client: &Client<'_>,
        token: &ValidatedToken,
        brought: &Draft00,
        connection: Option<Connection>,
    ) -> Result<Verdict, Refused> {
        let token = match &brought.shown_key {
            Some(_) if matches!(token.confirmation, Confirmation::Certificate(_) | Confirmation::Bearer) => {
                return Err(Reason::ProofWithoutKey).about(token.fingerprint);
            }
            Some(shown) => token.with_shown_key(shown).about(token.fingerprint)?,
            None => Cow::Borrowed(token),
        };
        let key = token.key_for_proof().about(token.fingerprint)?;
        let key = key.ok_or(Reason::ProofWithoutKey).about(token.fingerprint)?;
        match &brought.freshness {
            None => self.prove_by_exporter(key, connection.as_ref(), &brought.proof),
            Some(freshness) => self.prove_by_time(client, key, &token.audience, freshness, &brought.proof),
        }
        .about(token.fingerprint)?;
        let how = if brought.freshness.is_some() { "draft-00 timed proof" } else { "draft-00 exporter proof" };
        self.admit(client, &token, Entrance::new(how, connection))
    }

    /// Checks the draft's proof over client id, audience, time and nonce, and that it has not been used (rfc9431.md V4).
    fn prove_by_time(
        &self,
        client: &Client<'_>,
        key: &ConfirmationKey,
        audience: &[String],
        freshness: &Freshness,
        proof: &[u8],
    ) -> Result<(), Reason> {
        let client_id = client.id().and_then(|id| id.to_str().ok()).ok_or(Reason::NoClientId)?;
        let fields = verify_draft00(key, client_id, audience, freshness, proof)?;
        Ok(self.replays.borrow_mut().insert(&fields, clock::now())?)
    }

    fn without_credentials(&self, client: &Client<'_>) -> (WayIn, Result<Verdict, Refused>) {
        if let Some(outcome) = self.by_tls(client) {
            return (self.way_by_tls(client), outcome);
        }
        if self.has_raw_key(client) {
            return (WayIn::RawKey, Err(Reason::RawKeyWithoutToken.into()));
        }
        let Some((rights, what)) = anonymous_rights(&self.configuration()) else {
            let has_certificate = PeerCertificate::of_client(client).is_some();
            let (way, refusal) = if has_certificate {
                (WayIn::Certificate, Reason::CertificateWithoutToken)
            } else {
                (WayIn::Anonymous, Reason::Anonymous)
            };
            return (way, self.other_client(client, refusal));
        };
        let outcome = self.insert_without_token(client, rights, what).map(|()| {
            report::admitted(&self.broker, client, what, None);
            Verdict::Allow
        });
        (WayIn::Anonymous, outcome)
    }

    /// A client that has nothing to do with ACE.
    fn other_client(&self, client: &Client<'_>, refusal: Reason) -> Result<Verdict, Refused> {
        if self.has_raw_key(client) {
            return Err(Reason::RawKeyWithoutToken.into());
        }
        match self.configuration().other_clients {
            OtherClients::Refuse => Err(refusal.into()),
            OtherClients::Defer => {
                self.insert_without_token(client, Rights::Foreign, "other plugins")?;
                Ok(Verdict::Defer)
            }
        }
    }
}

/// What clients get that bring nothing at all, and how the log calls it; `None` if they are not let in (rfc9431.md L6).
fn anonymous_rights(configuration: &Configuration) -> Option<(Rights, &'static str)> {
    if configuration.allow_anonymous {
        return Some((Rights::Public, "public topics only"));
    }
    configuration.authz_info.as_ref().map(|_| (Rights::AuthzInfo, "the authz-info topic only"))
}

fn bytes<'a>(password: &Password<'a>) -> PasswordBytes<'a> {
    PasswordBytes { as_sent: password.as_sent, readable: password.readable, exact: password.exact }
}
