//! What a command costs that succeeds at once: the way of every hit.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use cache_core::attempts::{Access, Command, Failure, Route, attempt};
use cache_core::cluster::{Address, Slot};

use crate::script::wait;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: it does what the system's allocator does, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A store of one server.
struct Standalone<'a>(&'a Cell<u64>);

impl<'a> Route for Standalone<'a> {
    type Node = &'a Cell<u64>;
    type Error = String;

    fn node(&self, _: Slot, _: Access) -> Result<Self::Node, String> {
        Ok(self.0)
    }

    fn at(&self, _: &Address, _: &Self::Node) -> Result<Self::Node, String> {
        panic!("no redirect")
    }

    fn is_same(&self, _: &Self::Node, _: &Self::Node) -> bool {
        true
    }

    fn moved(&self, _: Slot, _: &Address, _: &Self::Node) {}

    fn suspect(&self, _: &Self::Node) {}

    fn dial_anew(&self, _: &Self::Node) {}

    async fn pause(&self, _: u64) {}

    fn now(&self) -> u64 {
        panic!("no look at the clock")
    }

    fn random(&self, low: u64, _: u64) -> u64 {
        low
    }
}

#[test]
fn a_command_that_succeeds_allocates_nothing() {
    let server = Cell::new(0);
    let route = Standalone(&server);
    let command = Command {
        slot: Slot::default(),
        access: Access::Read,
        repeatable: true,
        deadline: 1000,
    };
    let before = ALLOCATIONS.get();
    for _ in 0..1000 {
        let sent = attempt(&route, command, async |node: &&Cell<u64>, _| {
            node.set(node.get() + 1);
            Ok::<_, Failure<String>>(node.get())
        });
        assert!(size_of_val(&sent) <= 160, "{} bytes", size_of_val(&sent));
        wait(sent).unwrap();
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!(server.get(), 1000);
}
