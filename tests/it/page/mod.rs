//! The page. In reading order:
//!
//! - [`built_in`], [`static_files`]: the built-in page, and folders in its place
//! - [`conditions`], [`ranges`]: what is sent again, and what is sent of it
//! - [`www_folder`]: such a folder as a whole; [`folder_listing`]: and as a list
//! - [`provided_scripts`]: what a page from a folder can use that is not there
//! - [`reload`]: what pages are told when files of the folder change
//! - [`exchanged`]: other things in the place of what was just looked at
//! - [`page_server`]: connections for pages, many, slow and broken ones
//! - [`status`]: the figures, and the QR code

mod built_in;
mod conditions;
mod exchanged;
mod folder_listing;
mod page_server;
mod provided_scripts;
mod ranges;
mod reload;
mod static_files;
mod status;
mod www_folder;
