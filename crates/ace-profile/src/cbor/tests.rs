use proptest::prelude::*;

use super::*;

#[test]
fn items_are_what_they_say() {
    // RFC 8949 appendix A.
    assert_eq!(parse(b"\x17"), Ok(Value::Int(23)));
    assert_eq!(parse(b"\x18\x18"), Ok(Value::Int(24)));
    assert_eq!(parse(b"\x1b\x00\x00\x00\xe8\xd4\xa5\x10\x00"), Ok(Value::Int(1_000_000_000_000)));
    assert_eq!(parse(b"\x39\x03\xe7"), Ok(Value::Int(-1000)));
    assert_eq!(parse(b"\x44\x01\x02\x03\x04"), Ok(Value::Bytes(&[1, 2, 3, 4])));
    assert_eq!(parse(b"\x62\xc3\xbc"), Ok(Value::Text("\u{fc}")));
    assert_eq!(parse(b"\x82\xf5\xf6"), Ok(Value::Array(vec![Value::Bool(true), Value::Null])));
    assert_eq!(parse(b"\xc1\x01"), Ok(Value::Tag(1, Box::new(Value::Int(1)))));
    for (bytes, number) in [
        (&b"\xf9\x3c\x00"[..], 1.0),
        (b"\xf9\x00\x01", 5.960_464_477_539_063e-8),
        (b"\xf9\x7b\xff", 65504.0),
        (b"\xf9\xc4\x00", -4.0),
        (b"\xfa\x47\xc3\x50\x00", 100_000.0),
        (b"\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a", 1.1),
        (b"\xf9\x7c\x00", f64::INFINITY),
    ] {
        assert_eq!(parse(bytes), Ok(Value::Float(number)), "{bytes:02x?}");
    }
    let map = parse_map(b"\xa2\x01\x02\x61a\x03").unwrap();
    assert_eq!((map.get(1), map.get(2)), (Some(&Value::Int(2)), None));
    assert_eq!(map.labels().collect::<Vec<_>>(), [Label::Int(1), Label::Text("a")]);
}

#[test]
fn nothing_is_forgiven() {
    let deep = [vec![0x81; limits::CBOR_DEPTH + 1], vec![0]].concat();
    let large = [vec![0xb8, 65], (0..65).flat_map(|n| [vec![0x18, 100 + n], vec![0]].concat()).collect()].concat();
    for (bytes, fault) in [
        (&b""[..], CborFault::Syntax),
        (b"\x18", CborFault::Syntax),
        (b"\x42\x01", CborFault::Syntax),
        (b"\x62\xff\xff", CborFault::Syntax),
        (b"\x82\x01", CborFault::Syntax),
        (b"\xff", CborFault::Syntax),
        (b"\x1c", CborFault::Syntax),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", CborFault::Syntax),
        (b"\x5f\x41\x01\xff", CborFault::Indefinite),
        (b"\x7f\x61a\xff", CborFault::Indefinite),
        (b"\x9f\x01\xff", CborFault::Indefinite),
        (b"\xbf\x01\x02\xff", CborFault::Indefinite),
        (b"\x81\x9f\xff", CborFault::Indefinite),
        (b"\x18\x17", CborFault::NotShortest),
        (b"\x19\x00\xff", CborFault::NotShortest),
        (b"\x1a\x00\x00\xff\xff", CborFault::NotShortest),
        (b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff", CborFault::NotShortest),
        (b"\x38\x17", CborFault::NotShortest),
        (b"\x58\x01a", CborFault::NotShortest),
        (b"\x78\x01a", CborFault::NotShortest),
        (b"\x98\x01\x01", CborFault::NotShortest),
        (b"\xb8\x01\x01\x01", CborFault::NotShortest),
        (b"\xd8\x12\x01", CborFault::NotShortest),
        (b"\xa2\x01\x02\x01\x03", CborFault::DuplicateLabel),
        (b"\xa2\x61a\x02\x61a\x03", CborFault::DuplicateLabel),
        (b"\x81\xa2\x20\x02\x20\x02", CborFault::DuplicateLabel),
        (b"\x01\x01", CborFault::TrailingBytes),
        (b"\xa0\xa0", CborFault::TrailingBytes),
        (&deep, CborFault::TooDeep),
        (&large, CborFault::TooLarge),
        (b"\xa1\x41a\x01", CborFault::Unsupported),
        (b"\xa1\xf5\x01", CborFault::Unsupported),
        (b"\xf7", CborFault::Unsupported),
        (b"\xe0", CborFault::Unsupported),
        (b"\x1b\x80\x00\x00\x00\x00\x00\x00\x00", CborFault::Unsupported),
        (b"\x3b\x80\x00\x00\x00\x00\x00\x00\x00", CborFault::Unsupported),
    ] {
        assert_eq!(parse(bytes), Err(fault), "{bytes:02x?}");
    }
    assert_eq!(parse_map(b"\x80"), Err(CborFault::NotAMap));
    assert!(parse(&[vec![0x81; limits::CBOR_DEPTH], vec![0]].concat()).is_ok());
}

#[test]
fn debug_shows_no_value() {
    let shown = format!("{:?}", parse(b"\xa1\x01\x46secret").unwrap());
    assert_eq!(shown, "Map");
    assert_eq!(format!("{:?}", parse_map(b"\xa1\x01\x46secret").unwrap()), "[Int(1)]");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
        let _ = parse(&[&[0xa1, 0x01, 0x84], bytes.as_slice()].concat());
    }
}
