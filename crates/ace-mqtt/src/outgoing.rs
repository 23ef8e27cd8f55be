//! Packets to the broker, as bytes. The codec is `mqtt-protocol-core`'s; what to send when is decided in `client`.

use mqtt_protocol_core::mqtt::{
    packet::{
        AuthenticationData, AuthenticationMethod, MaximumPacketSize, Property, ReceiveMaximum, RetainHandling,
        SessionExpiryInterval, SubEntry, SubOpts, v3_1_1, v5_0,
    },
    result_code::{AuthReasonCode, DisconnectReasonCode, MqttError, PubcompReasonCode},
};
use zeroize::Zeroizing;

use crate::{
    error::{Error, Result},
    message::{Message, Qos, RetainedMessages, Subscription},
    reason::Version,
};

/// What goes into a CONNECT packet.
pub(crate) struct Connect<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) clean_start: bool,
    pub(crate) keep_alive: u16,
    /// MQTT 5 only, in seconds.
    pub(crate) session_expiry: u32,
    /// MQTT 5 only.
    pub(crate) receive_maximum: u16,
    /// MQTT 5 only.
    pub(crate) maximum_packet_size: u32,
    pub(crate) will: Option<&'a Message>,
    pub(crate) user_name: Option<&'a str>,
    pub(crate) password: Option<&'a [u8]>,
    /// MQTT 5 only: method and data.
    pub(crate) authentication: Option<(&'a str, &'a [u8])>,
}

/// CONNECT. The bytes hold a token and a proof: wiped when dropped.
pub(crate) fn connect(version: Version, fields: &Connect<'_>) -> Result<Zeroizing<Vec<u8>>> {
    match version {
        Version::V5 => connect_v5(fields),
        Version::V311 => connect_v311(fields),
    }
    .map(Zeroizing::new)
    .map_err(|error| {
        Error::Invalid(format!(
            "the CONNECT packet cannot be made ({error}): client id, user name, password and Will each have 65,535 bytes at most"
        ))
    })
}

fn connect_v5(fields: &Connect<'_>) -> std::result::Result<Vec<u8>, MqttError> {
    let mut properties: Vec<Property> = vec![
        ReceiveMaximum::new(fields.receive_maximum)?.into(),
        MaximumPacketSize::new(fields.maximum_packet_size)?.into(),
    ];
    if fields.session_expiry != 0 {
        properties.push(SessionExpiryInterval::new(fields.session_expiry)?.into());
    }
    if let Some((method, data)) = fields.authentication {
        properties.push(AuthenticationMethod::new(method)?.into());
        properties.push(AuthenticationData::new(data.to_vec())?.into());
    }
    let mut builder = v5_0::Connect::builder()
        .client_id(fields.client_id)?
        .clean_start(fields.clean_start)
        .keep_alive(fields.keep_alive)
        .props(properties);
    if let Some(will) = fields.will {
        builder = builder.will_message(will.topic.as_str(), will.payload.clone(), qos(will.qos), will.retain)?;
    }
    if let Some(name) = fields.user_name {
        builder = builder.user_name(name)?;
    }
    if let Some(password) = fields.password {
        builder = builder.password(password.to_vec())?;
    }
    Ok(builder.build()?.to_continuous_buffer())
}

fn connect_v311(fields: &Connect<'_>) -> std::result::Result<Vec<u8>, MqttError> {
    let mut builder = v3_1_1::Connect::builder()
        .client_id(fields.client_id)?
        .clean_session(fields.clean_start)
        .keep_alive(fields.keep_alive);
    if let Some(will) = fields.will {
        builder = builder.will_message(will.topic.as_str(), will.payload.clone(), qos(will.qos), will.retain)?;
    }
    if let Some(name) = fields.user_name {
        builder = builder.user_name(name)?;
    }
    if let Some(password) = fields.password {
        builder = builder.password(password.to_vec())?;
    }
    Ok(builder.build()?.to_continuous_buffer())
}

/// AUTH 0x18 or 0x19 with method and data (MQTT 5 §3.15).
pub(crate) fn auth(reason: AuthReasonCode, method: &str, data: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let build = || {
        let properties: Vec<Property> =
            vec![AuthenticationMethod::new(method)?.into(), AuthenticationData::new(data.to_vec())?.into()];
        v5_0::Auth::builder().reason_code(reason).props(properties).build()
    };
    build().map(|packet| Zeroizing::new(packet.to_continuous_buffer())).map_err(|error| failed("AUTH", error))
}

/// PUBLISH; `packet_id` for QoS 1 and 2.
pub(crate) fn publish(version: Version, message: &Message, packet_id: Option<u16>) -> Result<Vec<u8>> {
    match version {
        Version::V5 => v5_0::Publish::builder()
            .topic_name(message.topic.as_str())
            .and_then(|builder| {
                builder
                    .qos(qos(message.qos))
                    .retain(message.retain)
                    .packet_id(packet_id)
                    .payload(message.payload.as_slice())
                    .build()
            })
            .map(|packet| packet.to_continuous_buffer()),
        Version::V311 => v3_1_1::Publish::builder()
            .topic_name(message.topic.as_str())
            .and_then(|builder| {
                builder
                    .qos(qos(message.qos))
                    .retain(message.retain)
                    .packet_id(packet_id)
                    .payload(message.payload.as_slice())
                    .build()
            })
            .map(|packet| packet.to_continuous_buffer()),
    }
    .map_err(|error| failed("PUBLISH", error))
}

/// SUBSCRIBE.
pub(crate) fn subscribe(version: Version, packet_id: u16, subscriptions: &[Subscription]) -> Result<Vec<u8>> {
    let build = || -> std::result::Result<Vec<u8>, MqttError> {
        let entries = subscriptions
            .iter()
            .map(|subscription| {
                let mut options = SubOpts::new().set_qos(qos(subscription.qos));
                if version == Version::V5 {
                    options = options.set_nl(subscription.no_local).set_rap(subscription.retain_as_published).set_rh(
                        match subscription.retained {
                            RetainedMessages::Always => RetainHandling::SendRetained,
                            RetainedMessages::IfNew => RetainHandling::SendRetainedIfNotExists,
                            RetainedMessages::Never => RetainHandling::DoNotSendRetained,
                        },
                    );
                }
                SubEntry::new(subscription.filter.as_str(), options)
            })
            .collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(match version {
            Version::V5 => {
                v5_0::Subscribe::builder().packet_id(packet_id).entries(entries).build()?.to_continuous_buffer()
            }
            Version::V311 => {
                v3_1_1::Subscribe::builder().packet_id(packet_id).entries(entries).build()?.to_continuous_buffer()
            }
        })
    };
    build().map_err(|error| failed("SUBSCRIBE", error))
}

/// UNSUBSCRIBE.
pub(crate) fn unsubscribe(version: Version, packet_id: u16, filters: &[&str]) -> Result<Vec<u8>> {
    let build = || -> std::result::Result<Vec<u8>, MqttError> {
        Ok(match version {
            Version::V5 => v5_0::Unsubscribe::builder()
                .packet_id(packet_id)
                .entries(filters.to_vec())?
                .build()?
                .to_continuous_buffer(),
            Version::V311 => v3_1_1::Unsubscribe::builder()
                .packet_id(packet_id)
                .entries(filters.to_vec())?
                .build()?
                .to_continuous_buffer(),
        })
    };
    build().map_err(|error| failed("UNSUBSCRIBE", error))
}

/// The acknowledgements that hold nothing but a packet identifier: the same bytes in both versions (MQTT 5 §3.4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP with success.
pub(crate) fn acknowledge(kind: Acknowledge, packet_id: u16) -> [u8; 4] {
    let first = match kind {
        Acknowledge::Puback => 0x40,
        Acknowledge::Pubrec => 0x50,
        Acknowledge::Pubrel => 0x62,
        Acknowledge::Pubcomp => 0x70,
    };
    let [high, low] = packet_id.to_be_bytes();
    [first, 2, high, low]
}

/// PUBCOMP for a packet identifier that is not known: MQTT 5 has a reason for it (§3.7.2.1).
pub(crate) fn pubcomp_unknown(version: Version, packet_id: u16) -> Result<Vec<u8>> {
    match version {
        Version::V5 => v5_0::Pubcomp::builder()
            .packet_id(packet_id)
            .reason_code(PubcompReasonCode::PacketIdentifierNotFound)
            .build()
            .map(|packet| packet.to_continuous_buffer())
            .map_err(|error| failed("PUBCOMP", error)),
        Version::V311 => Ok(acknowledge(Acknowledge::Pubcomp, packet_id).to_vec()),
    }
}

/// PINGREQ.
pub(crate) const PINGREQ: [u8; 2] = [0xc0, 0];

/// DISCONNECT; the reason is left out on MQTT 3.1.1, which has none.
pub(crate) fn disconnect(version: Version, reason: DisconnectReasonCode) -> Result<Vec<u8>> {
    match version {
        Version::V5 => v5_0::Disconnect::builder()
            .reason_code(reason)
            .build()
            .map(|packet| packet.to_continuous_buffer())
            .map_err(|error| failed("DISCONNECT", error)),
        Version::V311 => Ok(vec![0xe0, 0]),
    }
}

fn qos(level: Qos) -> mqtt_protocol_core::mqtt::packet::Qos {
    use mqtt_protocol_core::mqtt::packet::Qos as Codec;
    match level {
        Qos::AtMostOnce => Codec::AtMostOnce,
        Qos::AtLeastOnce => Codec::AtLeastOnce,
        Qos::ExactlyOnce => Codec::ExactlyOnce,
    }
}

fn failed(name: &str, error: MqttError) -> Error {
    Error::Invalid(format!("the {name} packet cannot be made ({error})"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn plain() -> Connect<'static> {
        Connect {
            client_id: "c",
            clean_start: true,
            keep_alive: 60,
            session_expiry: 0,
            receive_maximum: 20,
            maximum_packet_size: 1024,
            will: None,
            user_name: None,
            password: None,
            authentication: None,
        }
    }

    #[test]
    fn connect_with_the_method_has_no_user_name_or_password() {
        let mut fields = plain();
        fields.authentication = Some(("ace", &[0, 1, b't']));
        let bytes = connect(Version::V5, &fields).unwrap();
        let (packet, _) = v5_0::Connect::parse(&bytes[2..]).unwrap();
        assert!(!packet.user_name_flag() && !packet.password_flag());
        assert!(
            packet
                .props()
                .iter()
                .any(|property| matches!(property, Property::AuthenticationMethod(method) if method.val() == "ace"))
        );
    }

    #[test]
    fn mqtt_311_passwords_are_bytes() {
        let mut fields = plain();
        fields.user_name = Some("ace.tok.en");
        fields.password = Some(&[0xff, 0, 0xfe]);
        let bytes = connect(Version::V311, &fields).unwrap();
        let (packet, _) = v3_1_1::Connect::parse(&bytes[2..]).unwrap();
        assert_eq!(packet.password(), Some(&[0xff, 0, 0xfe][..]));
        assert_eq!(packet.user_name(), Some("ace.tok.en"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let long = "x".repeat(70_000);
        let mut fields = plain();
        fields.user_name = Some(&long);
        assert!(connect(Version::V311, &fields).is_err());
    }

    #[test]
    fn the_will_travels_with_qos_and_retain() {
        let will = Message::new("w/t", "gone").with_qos(Qos::AtLeastOnce).with_retain(true);
        let mut fields = plain();
        fields.will = Some(&will);
        let bytes = connect(Version::V5, &fields).unwrap();
        let (packet, _) = v5_0::Connect::parse(&bytes[2..]).unwrap();
        assert_eq!(packet.will_topic(), Some("w/t"));
        assert!(packet.will_retain());
    }
}
