//! What it tells those who look after it: [`log`]. The figures are with the page that has them, in `http::status`.

mod log;
