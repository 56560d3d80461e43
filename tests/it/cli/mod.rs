//! The command line: [`commands`], the server's [`flags`], and of these [`codes`] and [`redis_flags`]; [`mqtt`] runs the example units.

mod codes;
mod commands;
mod flags;
mod mqtt;
#[cfg(feature = "redis")]
mod redis_flags;
#[cfg(not(feature = "redis"))]
mod without_redis;
