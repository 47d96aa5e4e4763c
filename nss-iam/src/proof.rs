//! The proof that nothing panics: a panic would call this function, which calls a function that is defined nowhere.
//! As long as any panic is left in the code, the linker, which build.rs configures to refuse undefined symbols,
//! creates no library.
//!
//! This requires the profile `module`: only an optimised library in one codegen unit and without overflow checks
//! contains none of the checks that can never fail.
#![expect(unsafe_code, reason = "the missing function is an extern one")]

unsafe extern "C" {
    fn nss_iam_could_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it does not exist, so this is never linked.
    unsafe { nss_iam_could_panic() }
}
