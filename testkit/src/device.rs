//! The device on which tests compute.

use burn::tensor::Device;

/// The variable that chooses it.
pub const VARIABLE: &str = "MARS_TEST_DEVICE";

/// burn's CPU backend; where the variable [`VARIABLE`] is `gpu`, the first GPU of the back ends that are built in.
///
/// # Panics
/// When a GPU is asked for and no back end for one is built in.
pub fn device() -> Device {
    if std::env::var(VARIABLE).as_deref() != Ok("gpu") {
        return Device::flex();
    }
    let device = Device::default();
    assert!(
        device != Device::flex(),
        "{VARIABLE} is `gpu`: build the tests with one of the features wgpu, cuda, rocm"
    );
    device
}
