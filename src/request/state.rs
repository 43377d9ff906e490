//! What features keep of a request beside its context: each a state of its own type, in the feature's file.

use std::any::Any;
use std::cell::Cell;

use crate::ngx::request::Request;

/// What a feature keeps of a request.
pub trait State: Any {
    /// The client has its response, or has left: nothing goes on for its sake.
    fn retire(&self, _: Request) {}

    /// The client has left, but its request goes on: there is nothing more to send.
    fn abandon(&self, _: Request) {}
}

/// A state, and the one that was made before it.
pub struct Link<T: State + ?Sized> {
    earlier: Option<&'static Link<dyn State>>,
    state: T,
}

/// The states of one request, found by their types. They are few.
#[derive(Default)]
pub struct States {
    latest: Cell<Option<&'static Link<dyn State>>>,
}

impl States {
    /// The state of this type, if there is one.
    pub fn find<T: State>(&self) -> Option<&'static T> {
        let mut latest = self.latest.get();
        while let Some(link) = latest {
            let state: &'static dyn Any = &link.state;
            if let Some(found) = state.downcast_ref() {
                return Some(found);
            }
            latest = link.earlier;
        }
        None
    }

    /// All of them, the latest first.
    pub fn all(&self) -> impl Iterator<Item = &'static dyn State> + use<> {
        let links = std::iter::successors(self.latest.get(), |link| link.earlier);
        links.map(|link| &link.state)
    }

    /// A new state, for memory that lives as long as these.
    pub fn link<T: State + Default>(&self) -> Link<T> {
        Link {
            earlier: self.latest.get(),
            state: T::default(),
        }
    }

    /// Adds a new state, which is in its memory now.
    pub fn add<T: State>(&self, link: &'static Link<T>) -> &'static T {
        self.latest.set(Some(link));
        &link.state
    }
}
