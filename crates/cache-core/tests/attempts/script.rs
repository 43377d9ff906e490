//! A topology that fails by script, and writes down what the attempts do.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cache_core::attempts::{Access, Command, Failure, Next, Route, attempt};
use cache_core::cluster::{Address, Redirect, Slot};

/// What the nodes do, one after the other, and what comes of it.
pub struct Script {
    failures: RefCell<Vec<Next>>,
    pub master: &'static str,
    /// Who has the slot once a node is suspected.
    pub suspected_becomes: Option<&'static str>,
    pub unsure: bool,
    /// Milliseconds that each command takes.
    pub takes: u64,
    pub deadline: u64,
    now: Cell<u64>,
    suspected: Cell<bool>,
    seen: RefCell<Vec<String>>,
}

fn redirect(host: &str) -> Box<Redirect> {
    Box::new(Redirect {
        slot: Slot::new(7).unwrap(),
        address: Address::new(host.as_bytes(), 6379).unwrap(),
    })
}

pub fn moved(host: &str) -> Next {
    Next::Moved(redirect(host))
}

pub fn ask(host: &str) -> Next {
    Next::Ask(redirect(host))
}

impl Script {
    pub fn new(failures: &[Next]) -> Script {
        Script {
            failures: RefCell::new(failures.iter().rev().cloned().collect()),
            master: "a",
            suspected_becomes: None,
            unsure: false,
            takes: 0,
            deadline: 1000,
            now: Cell::new(0),
            suspected: Cell::new(false),
            seen: RefCell::default(),
        }
    }

    fn sees(&self, what: impl Into<String>) {
        self.seen.borrow_mut().push(what.into());
    }

    fn outcome(&self) -> Result<(), Failure<&'static str>> {
        self.now.set(self.now.get() + self.takes);
        match self.failures.borrow_mut().pop() {
            None => Ok(()),
            Some(next) => Err(Failure {
                error: "failed",
                next,
                unsure: self.unsure,
            }),
        }
    }

    /// What is seen of one command.
    pub fn run(&self, access: Access, repeatable: bool) -> String {
        let command = Command {
            slot: Slot::new(7).unwrap(),
            access,
            repeatable,
            deadline: self.deadline,
        };
        let result = wait(attempt(self, command, async |node: &String, asking| {
            let outcome = self.outcome();
            let (asking, failed) = (if asking { "asking:" } else { "" }, outcome.is_err());
            self.sees(format!("{asking}{node}{}", if failed { "!" } else { "" }));
            outcome
        }));
        if let Err(error) = result {
            self.sees(error);
        }
        self.seen.borrow().join(" ")
    }
}

impl Route for Script {
    type Node = String;
    type Error = &'static str;

    fn node(&self, slot: Slot, access: Access) -> Result<String, &'static str> {
        assert_eq!(slot.number(), 7);
        let master = match self.suspected_becomes {
            Some(other) if self.suspected.get() => other,
            _ => self.master,
        };
        match (access, master) {
            (Access::Read, _) => Ok("replica".to_owned()),
            (_, "") => Err("nowhere"),
            _ => Ok(master.to_owned()),
        }
    }

    fn at(&self, address: &Address, from: &String) -> Result<String, &'static str> {
        assert!(!from.is_empty());
        match address.host() {
            "gone" => Err("nowhere"),
            host => Ok(host.to_owned()),
        }
    }

    fn is_same(&self, one: &String, other: &String) -> bool {
        one == other
    }

    fn moved(&self, slot: Slot, to: &Address, _from: &String) {
        assert_eq!(slot.number(), 7);
        self.sees(format!("moved>{}", to.host()));
    }

    fn suspect(&self, _node: &String) {
        self.suspected.set(true);
        self.sees("suspect");
    }

    fn dial_anew(&self, _node: &String) {
        self.sees("anew");
    }

    async fn pause(&self, millis: u64) {
        self.now.set(self.now.get() + millis);
        self.sees(format!("{millis}ms"));
    }

    fn now(&self) -> u64 {
        self.now.get()
    }

    fn random(&self, low: u64, high: u64) -> u64 {
        (low + high) / 2
    }
}

/// What comes of a future that never waits.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}
