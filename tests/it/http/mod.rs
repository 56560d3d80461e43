//! Requests and the page. In reading order:
//!
//! - [`head`], [`host_policy`]: what is not let in: malformed, ambiguous, too large, too slow; foreign
//! - [`page`], [`static_files`]: the built-in page, and folders in its place
//! - [`page_server`]: connections for pages, many, slow and broken ones
//! - [`response`]: answers on their way to slow readers
//! - [`status`]: the figures, and the QR code

mod head;
mod host_policy;
mod page;
mod page_server;
mod response;
mod static_files;
mod status;
