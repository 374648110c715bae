import LinuxSystem
import Synchronization

/// Asks many at once on a bounded number of threads: what each costs is waiting, not computing.
enum ParallelQuestions {
    /// The answers in the order of the questions.
    static func ask<Question: Sendable, Answer: Sendable>(
        _ questions: [Question], threadsMax: Int, _ answer: @escaping @Sendable (Question) -> Answer
    ) -> [Answer] {
        let work = Work(questions, answer)
        work.run(besides: min(questions.count, threadsMax) - 1)
        return work.answers()
    }

    private final class Work<Question: Sendable, Answer: Sendable>: Sendable {
        private struct State {
            var next = 0
            var answers: [Answer?]
        }
        private let questions: [Question]
        private let answer: @Sendable (Question) -> Answer
        private let state: Mutex<State>

        init(_ questions: [Question], _ answer: @escaping @Sendable (Question) -> Answer) {
            self.questions = questions
            self.answer = answer
            state = Mutex(State(answers: Array(repeating: nil, count: questions.count)))
        }

        /// Works through the questions on this thread and on so many others, and returns when all have
        /// ended.
        func run(besides others: Int) {
            guard others > 0 else { return drain() }
            do throws(SystemError) {
                let thread = try startThread(name: "discovery", stackByteCount: 512 << 10) { self.drain() }
                run(besides: others - 1)
                thread.join()
            } catch {
                // With fewer threads it takes longer; this one alone would do.
                drain()
            }
        }

        func answers() -> [Answer] {
            state.withLock { $0.answers.compactMap(\.self) }
        }

        private func drain() {
            while let index = take() {
                let answer = answer(questions[index])
                state.withLock { $0.answers[index] = answer }
            }
        }

        private func take() -> Int? {
            state.withLock { state in
                guard state.next < questions.count else { return nil }
                state.next += 1
                return state.next - 1
            }
        }
    }
}
