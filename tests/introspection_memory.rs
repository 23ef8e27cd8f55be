//! What is known of tokens takes no more memory than is counted, and the tokens of a hundred thousand strangers no more than the bounds.
//!
//! `cargo test --release --test introspection_memory -- --nocapture` prints the table in docs/performance.md.
#![allow(missing_docs, clippy::print_stdout)]

use ace_resource_server::remote::{CacheBounds, Measured};

#[global_allocator]
static COUNTING: dhat::Alloc = dhat::Alloc;

/// An answer as servers give them, with the client's key.
const ANSWER_BYTES: usize = 400;
const STRANGERS: usize = 100_000;

fn token(number: usize) -> String {
    format!("token-{number:026}")
}

/// How much memory is taken now, and the most that was.
fn heap() -> (usize, usize) {
    let stats = dhat::HeapStats::get();
    (stats.curr_bytes, stats.max_bytes)
}

#[test]
fn no_more_memory_is_taken_than_is_counted() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let answer = [b'x'; ANSWER_BYTES];
    let bounds = CacheBounds::default();
    println!("{:>10} {:>34} {:>12} {:>12}", "tokens", "", "counted", "taken");
    let report = |what: &str, measured: &Measured, before: usize| {
        let (taken, counted) = (heap().0 - before, measured.counted());
        let each = |bytes: usize| bytes / measured.tokens();
        println!("{:>10} {what:>34} {counted:>12} {taken:>12}", measured.tokens());
        println!("{:>10} {:>34} {:>12} {:>12}", "", "each", each(counted), each(taken));
        assert!(taken <= counted, "{what}: {taken} bytes taken, {counted} counted");
        assert!(counted <= bounds.bytes && measured.tokens() <= bounds.tokens);
    };
    for (what, is_active, is_in_use) in
        [("not active", false, false), ("active", true, false), ("active and in use", true, true)]
    {
        let before = heap().0;
        let mut measured = Measured::new(bounds);
        for number in 0..bounds.tokens {
            measured.take_up(&token(number), is_active.then_some(&answer[..]), is_in_use);
        }
        report(what, &measured, before);
    }
    let before = heap().0;
    let mut measured = Measured::new(bounds);
    for number in 0..STRANGERS {
        // A thousand sessions are there before the others come.
        let is_in_use = number < 1000;
        measured.take_up(&token(number), is_in_use.then_some(&answer[..]), is_in_use);
    }
    report("a hundred thousand strangers", &measured, before);
    let most = heap().1 - before;
    assert!(most <= bounds.bytes, "{most} bytes were taken at a time");
}
