//! Arrays.

use alloc::vec::Vec;

use super::{Malformed, Nullable, Reader, VARINT_BOUND, Value, Writer};

impl<T: Value> Value for Vec<T> {
    fn minimum_size(_version: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Self::read_nullable(reader)?.ok_or(Malformed::UnexpectedNull)
    }

    fn write(&self, writer: &mut Writer) {
        writer.length(Some(self.len()));
        self.iter().for_each(|element| element.write(writer));
    }

    fn size_bound(&self) -> usize {
        VARINT_BOUND + self.iter().map(Value::size_bound).sum::<usize>()
    }
}

impl<T: Value> Nullable for Vec<T> {
    fn null_size(flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    fn read_nullable(reader: &mut Reader) -> Result<Option<Self>, Malformed> {
        let Some(count) = reader.length()? else { return Ok(None) };
        reader.admit_array(count, T::minimum_size(reader.version(), reader.flexible()), size_of::<T>())?;
        let mut elements = Self::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(reader)?);
        }
        Ok(Some(elements))
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer) {
        match value {
            None => writer.length(None),
            Some(elements) => elements.write(writer),
        }
    }
}
