import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Scanner;

/** Reads nodes, edges, start and goal, then one "from to length" for each directed edge. */
public class Main {
    public static void main(String[] args) {
        Scanner in = new Scanner(System.in);
        int nodes = in.nextInt();
        int edges = in.nextInt();
        int start = in.nextInt();
        int goal = in.nextInt();
        List<List<long[]>> leaving = new ArrayList<>();
        for (int node = 0; node < nodes; node++) {
            leaving.add(new ArrayList<>());
        }
        for (int edge = 0; edge < edges; edge++) {
            leaving.get(in.nextInt()).add(new long[] {in.nextInt(), in.nextLong()});
        }
        long[] distance = distancesFrom(start, leaving);
        System.out.println(distance[goal] == Long.MAX_VALUE ? "unreachable" : distance[goal]);
    }

    private static long[] distancesFrom(int start, List<List<long[]>> leaving) {
        long[] distance = new long[leaving.size()];
        Arrays.fill(distance, Long.MAX_VALUE);
        distance[start] = 0;
        PriorityQueue<long[]> queue = new PriorityQueue<>((a, b) -> Long.compare(a[1], b[1]));
        queue.add(new long[] {start, 0});
        while (!queue.isEmpty()) {
            long[] nearest = queue.remove();
            int node = (int) nearest[0];
            if (nearest[1] > distance[node]) {
                continue;
            }
            for (long[] edge : leaving.get(node)) {
                int next = (int) edge[0];
                long candidate = nearest[1] + edge[1];
                if (candidate < distance[next]) {
                    distance[next] = candidate;
                    queue.add(new long[] {next, candidate});
                }
            }
        }
        return distance;
    }
}
