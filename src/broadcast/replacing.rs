//! How a client that counts messages comes back: by its id its next connection replaces the last one, and learns what of that got through.
//!
//! Leaves joining to `broadcaster`, and those that are gone to `ended_connections`. What must stay true: when a connection has been
//! replaced, nothing of it is published any more, so what is said of it then holds for good.

use std::net::IpAddr;

use crate::access::codes::Right;
use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::connection_id::ConnectionId;
use crate::broadcast::ended_connections::Known;
use crate::broadcast::live_channel::Client;
use crate::hub::channel_name::ChannelName;
use crate::hub::close_reason::CloseReason;
use crate::runtime::clock;

impl Broadcaster {
    /// Gives a client an id by which its next connection can [replace](Self::replace) it. `by_code`: the right that it has shown by a code.
    pub fn assign_connection_id(&self, client: &Client, by_code: Option<Right>) -> ConnectionId {
        let id = ConnectionId::new(&self.connection_ids, self.counters.clients_total.get());
        client.transport.connection_id.set(Some(id));
        client.transport.by_code.set(by_code);
        if let Some(keeper) = &self.keeper {
            keeper.connections.borrow_mut().join(id, &client.live.name, client.live.epoch_checksum(), 0);
        }
        #[cfg(feature = "redis")]
        if let Some(relay) = &self.relay {
            relay.note_joined(&client.live.name, id);
        }
        self.by_connection_id.borrow_mut().insert(id, client.downgrade());
        id
    }

    /// What is known of the connection with this id, if it was one to this channel and is not forgotten. How many of its messages were taken
    /// is settled when it is over, or [replaced](Self::replace).
    pub fn known(&self, id: &str, channel: &ChannelName) -> Option<Known> {
        let id = ConnectionId::parse(id)?;
        match self.by_connection_id(id) {
            Some(Client { transport, live }) => (live.name == *channel).then(|| transport.known()),
            None => self.ended.borrow().get(id, channel, clock::now()),
        }
    }

    /// The address of the client with this connection id, if it is connected and has not been replaced.
    pub fn address_of(&self, id: &str) -> Option<IpAddr> {
        let transport = self.by_connection_id(ConnectionId::parse(id)?)?.transport;
        transport.slot.get().map(|_| transport.peer.ip())
    }

    pub(super) fn by_connection_id(&self, id: ConnectionId) -> Option<Client> {
        self.by_connection_id.borrow().get(&id)?.upgrade()
    }

    /// All that can be replaced, in an order that is theirs.
    pub(super) fn connections(&self) -> Vec<(ConnectionId, Client)> {
        let clients = self.by_connection_id.borrow();
        let mut connections: Vec<_> =
            clients.iter().filter_map(|(&id, client)| Some((id, client.upgrade()?))).collect();
        connections.sort_unstable_by_key(|(id, _)| id.number());
        connections
    }

    /// Ends the client with this connection id, if it is connected, because it has reconnected. Nothing from its old connection
    /// is published after this call, so the client knows what was published. With `is_place_needed` the old connection is closed
    /// without a goodbye, which could take seconds.
    pub fn replace(&self, id: &str, is_place_needed: bool) {
        let Some(client) = ConnectionId::parse(id).and_then(|id| self.by_connection_id(id)) else { return };
        self.leave(&client);
        if is_place_needed {
            client.transport.abort();
        }
        client.transport.end(CloseReason::Replaced);
    }

    /// Notes that a client which has left is gone for good.
    pub fn forget(&self, Client { transport, live }: &Client) {
        self.give_back_tail(transport);
        if let Some(id) = transport.connection_id.get() {
            self.by_connection_id.borrow_mut().remove(&id);
            if let Some(keeper) = &self.keeper {
                keeper.connections.borrow_mut().end(id, &live.name, live.epoch_checksum(), transport.known().taken);
            }
            self.ended.borrow_mut().add(id, live.name.clone(), transport.known(), clock::now());
        }
    }
}
