/// For suggestions in error messages.
public enum SimilarWord {
    /// The word that was probably meant: the one with the fewest changed letters, at most a third of them, or
    /// one that begins like it.
    public static func nearest(to text: String, among words: [String]) -> String? {
        let ranked = words.map { (word: $0, changes: changes(Array(text.utf8), Array($0.utf8))) }
        if let best = ranked.min(by: { $0.changes < $1.changes }), best.changes <= max(text.utf8.count / 3, 1)
        {
            return best.word
        }
        return text.isEmpty ? nil : words.first { $0.hasPrefix(text) }
    }

    /// Letters to insert, delete or replace (Levenshtein).
    private static func changes(_ from: [UInt8], _ to: [UInt8]) -> Int {
        var row = Array(0...to.count)
        for (index, letter) in from.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, other) in to.enumerated() {
                let above = row[column + 1]
                row[column + 1] = letter == other ? diagonal : min(diagonal, above, row[column]) + 1
                diagonal = above
            }
        }
        return row[to.count]
    }
}
