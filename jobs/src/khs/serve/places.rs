//! How many connections there may be at once, of all and of one address.
//!
//! Promise: a place is given back however its connection ends, also by a fault of the program.

use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of a listener.
pub struct Places {
    all: Arc<Semaphore>,
    /// As many may be one address's.
    of_peer: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
    connections: Gauge,
}

impl Places {
    /// So many, and so many of one address; `connections` tells how many are taken.
    pub fn new(all: usize, of_peer: usize, connections: Gauge) -> Places {
        Places { all: Arc::new(Semaphore::new(all)), of_peer, taken: Mutex::default(), connections }
    }

    /// Waits until one is free.
    pub async fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok() // nobody closes it
    }

    /// Gives a free one to a peer, unless that has as many as it may.
    pub fn take(self: &Arc<Self>, free: OwnedSemaphorePermit, peer: IpAddr) -> Option<Place> {
        let mut taken = self.taken();
        let of_peer = taken.entry(peer).or_default();
        if *of_peer >= self.of_peer {
            return None;
        }
        *of_peer += 1;
        self.connections.inc();
        Some(Place { places: Arc::clone(self), peer, _free: free })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection, as long as it lives.
pub struct Place {
    places: Arc<Places>,
    peer: IpAddr,
    _free: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.connections.dec();
        let mut taken = self.places.taken();
        if let Some(of_peer) = taken.get_mut(&self.peer) {
            *of_peer -= 1; // it was counted when it was taken
            if *of_peer == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_has_so_many_and_gives_them_back_also_by_a_fault() {
        let gauge = Gauge::default();
        let places = Arc::new(Places::new(3, 2, gauge.clone()));
        let [one, two] = ["192.0.2.1", "2001:db8::1"].map(|peer| peer.parse::<IpAddr>().unwrap());
        let take = async |peer| places.take(places.free().await.unwrap(), peer);
        let (first, second) = (take(one).await.unwrap(), take(one).await.unwrap());
        assert!(take(one).await.is_none() && gauge.get() == 2, "as many as it may have");
        let other = take(two).await.unwrap();
        assert_eq!((gauge.get(), places.all.available_permits()), (3, 0));
        let fault = tokio::spawn(async move {
            let _place = first;
            panic!("a body that has a fault");
        });
        assert!(fault.await.unwrap_err().is_panic());
        assert_eq!((gauge.get(), places.all.available_permits()), (2, 1));
        let again = take(one).await.unwrap();
        drop((second, other, again));
        assert_eq!((gauge.get(), places.all.available_permits(), places.taken().len()), (0, 3, 0));
    }
}
