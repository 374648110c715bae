/// Runs a parser of target data over an array: `parsed(bytes, by: InquiryData.init)`.
func parsed<Value, Failure: Error>(
    _ bytes: [UInt8], by parser: (RawSpan) throws(Failure) -> Value
) throws(Failure) -> Value {
    try parser(bytes.span.bytes)
}
