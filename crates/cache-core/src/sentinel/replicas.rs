//! Which replicas serve lookups: those that more than half of the Sentinels find healthy, of those that name the master that
//! is announced and list its replicas.
//!
//! Where no Sentinel lists any, because all are away, the list stays as it is, as the master does.

/// The replicas that are announced.
#[derive(Debug)]
pub struct Replicas<A>(Vec<A>);

impl<A: Clone + Eq> Replicas<A> {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Those that another watcher has announced.
    pub fn known(&mut self, replicas: Vec<A>) {
        self.0 = replicas;
    }

    /// Another master is announced: nobody knows yet who follows it.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// Counts the lists of those Sentinels that name `master`. Gives the replicas if they are others than before, in the
    /// order in which the first Sentinels list them.
    pub fn count(&mut self, master: &A, lists: &[&[A]]) -> Option<Vec<A>> {
        if lists.is_empty() {
            return None;
        }
        let votes = |replica: &A| lists.iter().filter(|list| list.contains(replica)).count();
        let mut elected: Vec<A> = Vec::new();
        for replica in lists.iter().flat_map(|list| list.iter()) {
            let fit = replica != master && votes(replica) * 2 > lists.len();
            if fit && !elected.contains(replica) {
                elected.push(replica.clone());
            }
        }
        let same = elected.len() == self.0.len() && elected.iter().all(|it| self.0.contains(it));
        if same {
            return None;
        }
        self.0.clone_from(&elected);
        Some(elected)
    }

    /// The replicas that are announced.
    pub fn announced(&self) -> &[A] {
        &self.0
    }
}
