//! The request that brings a fill's response.

use std::rc::Rc;

use cache_core::flow::Trouble;

use super::succession::Clearance;
use crate::detached::{Detached, Times};

/// Which request brings a fill's response.
pub enum Carrier {
    /// One of the fill's own.
    Detached(Rc<Detached>),
    /// The client's, which has been sent on before.
    Client {
        /// When it was.
        times: Rc<Times>,
        /// Whether the record may be written, if that is to be waited for.
        clearance: Option<Rc<Clearance>>,
    },
}

impl Carrier {
    /// The request of its own, if it has one.
    pub fn detached(&self) -> Option<&Rc<Detached>> {
        match self {
            Carrier::Detached(detached) => Some(detached),
            Carrier::Client { .. } => None,
        }
    }

    /// When the response was fetched.
    pub fn times(&self) -> &Rc<Times> {
        match self {
            Carrier::Detached(detached) => detached.times(),
            Carrier::Client { times, .. } => times,
        }
    }

    /// Whether the response has invalidated its own key before it is stored: any record there is newer.
    pub fn succeeds(&self) -> bool {
        matches!(
            self,
            Carrier::Client {
                clearance: Some(_),
                ..
            }
        )
    }

    /// Waits until the record may be written.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub async fn cleared(&self) -> Result<(), Trouble> {
        match self {
            Carrier::Client {
                clearance: Some(clearance),
                ..
            } => clearance.wait().await,
            Carrier::Client { .. } | Carrier::Detached(_) => Ok(()),
        }
    }
}
