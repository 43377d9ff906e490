//! Changes that can't be made by one command.

use std::cell::Cell;

use bytes::Bytes;
use cache_core::attempts::Next;
use cache_core::fence::{Token, permits};

use super::Client;
use crate::store::redis::call::Failure;
use crate::store::redis::change::{Change, ChangeReply, RecordRefresh, RecordWrite};
use crate::store::redis::error::StoreError;

impl Client {
    /// Does by several commands, each with one key, what can't be done by one: the slot is on its way to another node, which
    /// takes no command for two keys unless it has both; or the user may not do all of it.
    pub(super) async fn in_parts(self, change: Change) -> Result<ChangeReply, StoreError> {
        let done = async |change: Change| match self.once(change).await {
            Whole::Done(result) => result,
            Whole::Apart => Err(StoreError::Unavailable),
        };
        match change {
            Change::Invalidate(key, token, seen) => {
                let invalidated = invalidate_in_parts(key, token, done).await;
                // What the fence held just before isn't known.
                invalidated.map(|reply| match seen {
                    Some(_) => ChangeReply::Overtaken,
                    None => reply,
                })
            }
            Change::Write(record) => {
                let (key, fence) = (record.key.clone(), record.fence.clone());
                let unfenced = RecordWrite {
                    fence: None,
                    ..record
                };
                let written = done(Change::Write(unfenced)).await;
                let Some(fence) = fence else { return written };
                let is_certain = match done(Change::ReadFence(key.clone())).await {
                    Ok(ChangeReply::Fence(now)) => {
                        permits(now.as_deref().unwrap_or_default(), &fence.seen)
                    }
                    _ => false,
                };
                let may_be_there = match &written {
                    Ok(reply) => *reply == ChangeReply::Done,
                    Err(error) => matches!(
                        error,
                        StoreError::Timeout
                            | StoreError::Closed
                            | StoreError::Protocol
                            | StoreError::Leaving
                    ),
                };
                if is_certain || !may_be_there {
                    return written;
                }
                // It may have been written after the deletion.
                done(Change::Delete(key)).await?;
                written.map(|_| ChangeReply::Invalidated)
            }
            Change::Refresh(refresh) => {
                done(Change::Refresh(RecordRefresh {
                    lease: None,
                    ..refresh
                }))
                .await
            }
            // Each machine fills for itself meanwhile.
            Change::Claim(_) => Err(StoreError::Unavailable),
            other => done(other).await,
        }
    }
}

/// Deletes a record and sets its fence by two commands, where one may not do both. `change` carries out each.
///
/// # Errors
///
/// Why the record isn't known to be deleted.
pub async fn invalidate_in_parts(
    key: Bytes,
    token: Token,
    change: impl AsyncFn(Change) -> Result<ChangeReply, StoreError>,
) -> Result<ChangeReply, StoreError> {
    // In this order: what is written in between is deleted.
    let fenced = change(Change::SetFence(key.clone(), token)).await;
    let deleted = change(Change::Delete(key)).await?;
    Ok(match fenced {
        Ok(_) => deleted,
        Err(error) => ChangeReply::Unfenced(error.to_string()),
    })
}

/// What came of a change that was to be done by one command.
pub(super) enum Whole {
    Done(Result<ChangeReply, StoreError>),
    /// It can only be done in parts.
    Apart,
}

/// A key and its fence that aren't at one node: a slot that moves may be between two for long.
pub(super) fn stop_if_apart(failure: Failure, needs_fence: bool, apart: &Cell<bool>) -> Failure {
    if !needs_fence || failure.next != Next::Later {
        return failure;
    }
    apart.set(true);
    Failure {
        next: Next::Stop,
        ..failure
    }
}
