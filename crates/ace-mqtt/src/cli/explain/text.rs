//! An explanation as people read it.

use std::fmt::Write as _;

use super::report::{Claim, Decision, Report, Request};

/// The report in lines of text.
pub(super) fn written(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    let token = &report.token;
    writeln!(text, "token {}: {}, {} bytes, judged as of {}\n", token.fingerprint, token.form, token.bytes, report.at)?;
    claims(text, &report.claims)?;
    if !token.is_believed && report.claims.iter().any(|claim| claim.name == "aud") {
        writeln!(text, "  These claims are not proved to be the issuer's.")?;
    }
    if let Some(answer) = &report.answer {
        writeln!(text, "\nits server's answer")?;
        claims(text, answer)?;
    }
    if !report.not_looked_at.is_empty() {
        writeln!(text, "  Not looked at: {}", report.not_looked_at.join(", "))?;
    }
    if !report.ignored_words.is_empty() {
        writeln!(text, "  Words of the scope that are other applications': {}", report.ignored_words.join(", "))?;
    }
    if !report.scope.is_empty() {
        writeln!(text, "\nscope")?;
        let width = report.scope.iter().map(|entry| entry.filter.chars().count()).max().unwrap_or_default();
        for entry in &report.scope {
            writeln!(text, "  {:width$}  {}", entry.filter, entry.permissions.join(" and "))?;
        }
    }
    for trouble in &report.troubles {
        writeln!(text, "\ncould not be asked: {trouble}")?;
    }
    writeln!(text)?;
    verdict(text, &report.verdict)?;
    if !report.requests.is_empty() {
        writeln!(text)?;
    }
    report.requests.iter().try_for_each(|it| request(text, it))
}

fn claims(text: &mut String, claims: &[Claim]) -> std::fmt::Result {
    for claim in claims {
        let mark = if claim.fault.is_some() { '!' } else { ' ' };
        let parts = [claim.shown.as_deref(), claim.remark.as_deref()];
        let mut said = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
        if let Some(fault) = &claim.fault {
            let separator = if said.is_empty() { "" } else { ": " };
            write!(said, "{separator}{}: {}", fault.code, fault.reason)?;
        }
        writeln!(text, "{mark} {:<10} {said}", claim.name)?;
    }
    Ok(())
}

fn verdict(text: &mut String, verdict: &Decision) -> std::fmt::Result {
    match (verdict.outcome, verdict.code, verdict.reason.as_deref()) {
        (_, Some(code), Some(reason)) => {
            writeln!(text, "verdict: refused: {code}: {reason}")?;
            if let Some(see) = &verdict.see {
                writeln!(text, "  Look {code} up in {see}.")?;
            }
        }
        ("depends", ..) => {
            writeln!(text, "verdict: cannot be told here; it depends on")?;
            for on in &verdict.depends_on {
                writeln!(text, "  - {}", on.reason)?;
            }
        }
        _ => writeln!(text, "verdict: admitted, if the proof is right")?,
    }
    if let Some(proof) = verdict.proof {
        writeln!(text, "  Proof: {proof}.")?;
    }
    match verdict.key_fits {
        Some(true) => writeln!(text, "  The key in the credentials is the one that the token is bound to.")?,
        Some(false) => writeln!(text, "  The key in the credentials is not the one that the token is bound to.")?,
        None => {}
    }
    if let Some(name) = &verdict.user_name {
        let until = verdict.until.as_deref().map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"));
        writeln!(text, "  The client's user name is \"{name}\"; its rights last {until}.")?;
    }
    Ok(())
}

fn request(text: &mut String, request: &Request) -> std::fmt::Result {
    let what = match request.access {
        "publish" => "publish to",
        "subscribe" => "subscribe to",
        _ => "receive from",
    };
    let outcome = match (request.outcome, request.code, &request.by, request.of) {
        ("allowed", _, Some(filter), Some("public")) => format!("allowed by {filter}, which is open to all"),
        ("allowed", _, Some(filter), _) => format!("allowed by {filter} of the scope"),
        ("denied", Some(code), ..) => format!("denied: {code}"),
        ("not-admitted", ..) => "not reached: the client is not let in".to_owned(),
        ("takes-tokens", ..) => "whoever is connected may publish a token there, which is judged for itself".to_owned(),
        ("unknown", ..) => "cannot be told here".to_owned(),
        (outcome, ..) => outcome.to_owned(),
    };
    writeln!(text, "{what} {}: {outcome}", request.topic)?;
    if let Some(near) = &request.nearest {
        writeln!(text, "  Nearest: {} ({}): {}.", near.filter, near.permissions.join(" and "), near.why)?;
    }
    Ok(())
}
