//! The page: what lies at which address, and the server that has it, behind ours.

pub mod answer;
pub mod backend;
pub mod disk_file;
pub mod disk_queue;
pub mod folder_listing;
pub mod frontend;
pub mod linkless_path;
pub mod open_files;
pub mod page_error;
pub mod page_request;
pub mod page_server;
pub mod private_folder;
pub mod provided_scripts;
pub mod qr_cache;
pub mod qr_code;
pub mod representation;
pub mod resources;
pub mod running_server;
pub mod served_root;
pub mod static_files;
pub mod status;
pub mod url_path;
pub mod www_folder;
