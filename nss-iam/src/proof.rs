//! The proof that nothing panics: a panic would come here, and what is called from here is defined nowhere. As long as
//! some panic is left in the code the linker, which build.rs tells not to let that pass, makes no library.
//!
//! The profile `module` belongs to it: only an optimised library without overflow checks, in one piece, has shed the
//! checks that can never fail.
#![expect(unsafe_code, reason = "the missing function is an extern one")]

unsafe extern "C" {
    fn nss_iam_could_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it does not exist, so this is never linked.
    unsafe { nss_iam_could_panic() }
}
