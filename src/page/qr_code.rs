//! The address of the page as a picture, for the next phone.

use crate::page::representation::Representation;

/// The code of the address that was used, from the Host that was checked.
pub fn qr_code(host: &str) -> Representation {
    let Ok(code) = qrcode::QrCode::new(format!("http://{host}/")) else { return Representation::not_found() };
    let svg = code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build();
    Representation::new("image/svg+xml", svg.into_bytes())
}
