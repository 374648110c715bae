/// A table of aligned columns, two spaces apart. Every cell is escaped for the terminal.
public struct TextTable: Sendable {
    public enum Alignment: Sendable { case left, right }

    public struct Column: Sendable {
        public let title: String
        public let alignment: Alignment

        public static func left(_ title: String) -> Column { Column(title: title, alignment: .left) }
        public static func right(_ title: String) -> Column { Column(title: title, alignment: .right) }
    }

    /// What stands in a cell that has nothing to say.
    public static let blank = "-"

    private let columns: [Column]
    private var rows: [[String]] = []

    public init(_ columns: [Column]) {
        self.columns = columns
    }

    /// One cell a column; a nil or empty one is shown as `-`.
    public mutating func append(_ cells: [String?]) {
        precondition(cells.count == columns.count, "\(cells.count) cells for \(columns.count) columns")
        rows.append(
            cells.map { cell in cell.map { $0.isEmpty ? Self.blank : $0.escapedForTerminal } ?? Self.blank })
    }

    /// The title line and one line a row, without spaces at line ends.
    public func lines(indent: Int = 0) -> [String] {
        let all = [columns.map(\.title)] + rows
        let widths = columns.indices.map { column in all.map { $0[column].utf8.count }.max() ?? 0 }
        return all.map { row in
            var line = String(repeating: " ", count: indent)
            for (column, cell) in row.enumerated() {
                if column > 0 { line += "  " }
                let padding = String(repeating: " ", count: widths[column] - cell.utf8.count)
                line += columns[column].alignment == .left ? cell + padding : padding + cell
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
