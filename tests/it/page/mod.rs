//! The page. In reading order:
//!
//! - [`built_in`], [`static_files`]: the built-in page, and folders in its place
//! - [`conditions`]: what is sent again, and what is not
//! - [`www_folder`]: such a folder as a whole
//! - [`page_server`]: connections for pages, many, slow and broken ones
//! - [`status`]: the figures, and the QR code

mod built_in;
mod conditions;
mod page_server;
mod static_files;
mod status;
mod www_folder;
