//! What CBOR says.

/// An item, as far as tokens have them.
#[derive(Clone, PartialEq)]
pub(crate) enum Value<'b> {
    Int(i64),
    Bytes(&'b [u8]),
    Text(&'b str),
    Array(Vec<Value<'b>>),
    Map(Map<'b>),
    Tag(u64, Box<Value<'b>>),
    Bool(bool),
    Null,
    Float(f64),
}

/// The label of a map's entry (RFC 9052 §1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label<'b> {
    Int(i64),
    Text(&'b str),
}

/// A map with its entries in the order in which they were sent, no label twice.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Map<'b> {
    entries: Vec<(Label<'b>, Value<'b>)>,
}

impl<'b> Map<'b> {
    /// Adds an entry; `false` if the label is there already.
    pub(super) fn insert(&mut self, label: Label<'b>, value: Value<'b>) -> bool {
        let is_new = self.entries.iter().all(|(known, _)| *known != label);
        if is_new {
            self.entries.push((label, value));
        }
        is_new
    }

    /// The value under a number.
    pub(crate) fn get(&self, label: i64) -> Option<&Value<'b>> {
        self.entries.iter().find(|(known, _)| *known == Label::Int(label)).map(|(_, value)| value)
    }

    /// The entries in the order in which they were sent.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &(Label<'b>, Value<'b>)> {
        self.entries.iter()
    }

    /// The labels in the order in which they were sent.
    pub(crate) fn labels(&self) -> impl Iterator<Item = Label<'b>> {
        self.entries.iter().map(|(label, _)| *label)
    }
}

impl<'b> Value<'b> {
    pub(crate) const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) const fn as_bytes(&self) -> Option<&'b [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) const fn as_text(&self) -> Option<&'b str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) const fn as_map(&self) -> Option<&Map<'b>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }
}

impl Value<'_> {
    /// The same in JSON; `None` for what is neither a text nor a number nor a list of those.
    pub(crate) fn to_json(&self) -> Option<serde_json::Value> {
        match self {
            Self::Int(number) => Some((*number).into()),
            Self::Text(text) => Some((*text).into()),
            Self::Array(items) => items.iter().map(Self::to_json).collect(),
            _ => None,
        }
    }
}

/// A number of 16 bits (RFC 8949 appendix D).
pub(super) fn half(bits: u16) -> f64 {
    let exponent = i32::from((bits >> 10) & 0x1f);
    let mantissa = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2_f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// Shows what kind of item it is: a key may stand in it.
impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Int(_) => "Int",
            Self::Bytes(_) => "Bytes",
            Self::Text(_) => "Text",
            Self::Array(_) => "Array",
            Self::Map(_) => "Map",
            Self::Tag(..) => "Tag",
            Self::Bool(_) => "Bool",
            Self::Null => "Null",
            Self::Float(_) => "Float",
        })
    }
}

/// Shows the labels.
impl std::fmt::Debug for Map<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.labels()).finish()
    }
}
