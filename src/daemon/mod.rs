//! What a running node adds to the driver: its files, its configuration and its control socket.

pub(crate) mod config_file;
pub(crate) mod config_mistake;
pub(crate) mod config_template;
pub(crate) mod control_client;
pub(crate) mod control_message;
pub(crate) mod control_server;
pub(crate) mod control_socket;
pub(crate) mod duration_text;
pub(crate) mod event_report;
pub(crate) mod file_store;
pub(crate) mod host_name;
pub(crate) mod key_file;
pub(crate) mod private_file;
pub(crate) mod regular_file;
pub(crate) mod rfc3339;
pub(crate) mod start;
pub(crate) mod state_dir;
pub(crate) mod state_file;
pub(crate) mod status_report;
pub(crate) mod write_access;
