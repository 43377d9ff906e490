//! Many readers of one answer, without a world around them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_core::flow::{Ending, Finding};
use cache_core::headers::Headers;
use cache_core::outcome::Reason;
use cache_core::record::Unsent;

use crate::stream::{Demand, Next, ResponseHead, Stream, Subscription};

fn head(finding: Finding) -> ResponseHead {
    ResponseHead {
        status: 200,
        headers: Headers::new(),
        content_length: None,
        date: 0,
        came: 0,
        connection: Vec::new(),
        own_location: false,
        withheld: Vec::new(),
        unsent: Unsent::default(),
        upstream: Headers::new(),
        generated: false,
        backend_status: None,
        conditional: false,
        finding,
        labels: Bytes::new(),
        has_tags: false,
        variant: None,
        brought: cache_core::slices::Brought::Whole,
    }
}

/// An answer that isn't stored, and what was demanded of its backend.
fn passing() -> (Rc<Stream>, Rc<RefCell<Vec<Demand>>>) {
    let (stream, demands) = (Stream::new(u64::MAX, u64::MAX), Rc::default());
    let told: Rc<RefCell<Vec<Demand>>> = Rc::clone(&demands);
    stream.set_control(move |demand| told.borrow_mut().push(demand));
    (stream, demands)
}

fn read(reader: &Subscription) -> usize {
    let mut pieces = 0;
    while let Next::Piece(_) = reader.next() {
        pieces += 1;
    }
    pieces
}

#[test]
fn five_thousand_readers_cost_no_more_each_than_one() {
    let stream = Stream::new(u64::MAX, u64::MAX);
    let readers: Vec<_> = (0..5000).map(|_| stream.join()).collect();
    assert_eq!(stream.joined(), 5000);
    let begun = Instant::now();
    for _ in 0..200 {
        stream.push(Bytes::from_static(b"x"));
        for reader in &readers {
            reader.listen(std::task::Waker::noop());
            assert_eq!(read(reader), 1);
        }
    }
    // A million pieces were read. Were readers looked for, it would be five billion steps.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    drop(readers);
    assert_eq!(stream.joined(), 0);
}

#[test]
fn the_slowest_reader_holds_the_backend_back() {
    let (stream, demands) = passing();
    let readers = [stream.subscribe(), stream.join(), stream.join()];
    stream.set_head(head(Finding::NotStorable(Reason::Private)));
    for _ in 0..5 {
        stream.push(Bytes::from(vec![0; 64 * 1024]));
    }
    assert!(stream.is_blocked());
    let [first, second, third] = readers;
    assert_eq!((read(&first), read(&second)), (5, 5));
    assert!(stream.is_blocked() && demands.borrow().is_empty());
    assert!(matches!(third.next(), Next::Piece(_)));
    // It leaves in the middle: the others have read all.
    drop(third);
    assert!(!stream.is_blocked());
    assert_eq!(*demands.borrow(), [Demand::Resume]);
    stream.push(Bytes::from_static(b"x"));
    assert_eq!((read(&first), read(&second)), (1, 1));
    drop((first, second));
    assert_eq!(demands.borrow().last(), Some(&Demand::Abort));
    assert!(stream.is_unwanted());
    stream.end(Ending::Cut);
    assert!(!stream.is_unwanted());
}

#[test]
fn a_capture_goes_on_without_readers_until_it_is_given_up() {
    type Step = fn(&Stream);
    let cases: [(Ending, Step); 3] = [
        (Ending::TooLarge, |stream| {
            stream.push(Bytes::from_static(b"0123456789x"))
        }),
        (Ending::NoRoom, |stream| {
            stream.cease_capture(Ending::NoRoom);
        }),
        (Ending::TooLong, |stream| {
            stream.cease_capture(Ending::TooLong);
        }),
    ];
    for (why, gives_up) in cases {
        let (stream, demands) = (Stream::new(10, 10), Rc::new(RefCell::new(Vec::new())));
        let told = Rc::clone(&demands);
        stream.set_control(move |demand| told.borrow_mut().push(demand));
        drop(stream.subscribe());
        assert!(
            demands.borrow().is_empty() && stream.is_joinable(),
            "{why:?}"
        );
        gives_up(&stream);
        assert_eq!(*demands.borrow(), [Demand::Abort], "{why:?}");
        assert!(!stream.is_joinable(), "{why:?}");
    }
}
