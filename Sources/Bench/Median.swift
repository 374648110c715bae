extension Array<Double> {
    /// The middle value, or the mean of the two in the middle. There must be one.
    var median: Double {
        precondition(!isEmpty, "median of nothing")
        let sorted = sorted()
        let middle = count / 2
        return count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
