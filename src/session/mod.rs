//! Who is connected, with which rights, until when.
//!
//! A session is found by the client's address in the broker's memory and trusted only if the client's id and user name
//! still agree: the broker uses an address again for another client. Nothing here calls the broker.

mod address_map;
mod decision;
mod held;
mod publishers;
mod rates;
mod table;

pub use decision::Decision;
pub use held::{Arrivals, HeldTokens};
pub use publishers::{Publisher, Publishers};
pub use rates::{Exceeded, Rates};
pub use table::{Ended, Farewell, Phase, Rights, Session, Sessions};
