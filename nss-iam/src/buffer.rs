//! The caller's buffer, used from its beginning. If it is too small, the result is always `BufferTooSmall`, never a
//! truncated value.
#![expect(
    unsafe_code,
    reason = "the buffer is C's: a pointer, a length, and bytes that nobody has written yet"
)]

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::slice;

use libc::{c_char, size_t};
use reader::Text;

use crate::outcome::{Miss, Outcome};

/// The unused rest of the buffer.
pub(crate) struct Buffer<'a>(&'a mut [MaybeUninit<u8>]);

impl<'a> Buffer<'a> {
    /// # Safety
    /// `start` is null, or `len` bytes from it are the caller's to write for `'a`, and nobody else's.
    pub(crate) unsafe fn new(start: *mut c_char, len: size_t) -> Self {
        if start.is_null() {
            return Buffer(&mut []);
        }
        // No object is larger than isize::MAX, whatever a caller says.
        let len = len.min(isize::MAX.unsigned_abs());
        // SAFETY: the caller of this function vouches for start and len; a MaybeUninit may be any byte.
        Buffer(unsafe { slice::from_raw_parts_mut(start.cast(), len) })
    }

    /// The next `len` bytes, zeroed.
    pub(crate) fn bytes(&mut self, len: usize) -> Outcome<&'a mut [u8]> {
        let whole = core::mem::take(&mut self.0);
        let (taken, rest) = whole.split_at_mut_checked(len).ok_or(Miss::BufferTooSmall)?;
        self.0 = rest;
        for byte in taken.iter_mut() {
            byte.write(0);
        }
        // SAFETY: `taken` is exclusively ours for `'a`, and each byte of it was written in the loop above.
        Ok(unsafe { slice::from_raw_parts_mut(taken.as_mut_ptr().cast(), taken.len()) })
    }

    /// A table of null pointers, with the alignment that C requires.
    pub(crate) fn table(&mut self, len: usize) -> Outcome<&'a mut [*mut c_char]> {
        self.bytes(self.0.as_ptr().align_offset(align_of::<*mut c_char>()))?;
        let size = len.checked_mul(size_of::<*mut c_char>()).ok_or(Miss::BufferTooSmall)?;
        let bytes = self.bytes(size)?;
        // SAFETY: `bytes` is exclusively ours for `'a`, begins at a multiple of the pointers' alignment, has room for
        // `len` of them, and all bytes zero are null pointers.
        Ok(unsafe { slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), len) })
    }

    /// A value of the cache as a C string. It contains no NUL: `reader` checked that.
    #[inline(always)]
    pub(crate) fn text(&mut self, text: Text<'_>) -> Outcome<*mut c_char> {
        self.string(text.len(), text.chunks())
    }

    /// A constant as a C string that the caller may write to.
    #[inline(always)]
    pub(crate) fn literal(&mut self, text: &'static CStr) -> Outcome<*mut c_char> {
        self.string(text.count_bytes(), core::iter::once(text.to_bytes()))
    }

    #[inline(always)]
    fn string<'c>(&mut self, len: usize, chunks: impl Iterator<Item = &'c [u8]>) -> Outcome<*mut c_char> {
        let whole = core::mem::take(&mut self.0);
        let start = whole.as_mut_ptr();
        let (taken, rest) = whole.split_at_mut_checked(len.saturating_add(1)).ok_or(Miss::BufferTooSmall)?;
        self.0 = rest;
        let mut places = taken;
        for chunk in chunks {
            let (now, later) = places.split_at_mut_checked(chunk.len()).ok_or(Miss::BufferTooSmall)?;
            // SAFETY: what is written may be read as perhaps not written.
            now.copy_from_slice(unsafe { slice::from_raw_parts(chunk.as_ptr().cast(), chunk.len()) });
            places = later;
        }
        if let Some(end) = places.first_mut() {
            end.write(0);
        }
        Ok(start.cast())
    }
}
